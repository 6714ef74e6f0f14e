//! Where a program writes below its own folder, which is read-only in an image.

use super::folder::Folder;
use super::sources::{self, is_comment};
use crate::Language;
use crate::languages::python::paths;

/// Something that a program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// The folder, from the app's folder; empty is the app's folder itself.
    pub(crate) folder: String,
    /// What is written, as the source says it.
    pub(crate) path: String,
    /// The source that says so.
    pub(crate) file: String,
    /// Whether the repository has files in the folder, which an empty one would hide.
    pub(crate) occupied: bool,
}

/// Names of folders that hold data. Folders of other names may be results of a build.
const NAMES: &[&str] = &[
    "backups",
    "cache",
    "data",
    "database",
    "databases",
    "db",
    "downloads",
    "files",
    "instance",
    "log",
    "logs",
    "media",
    "persist",
    "sessions",
    "sqlite",
    "state",
    "storage",
    "store",
    "temp",
    "tmp",
    "upload",
    "uploads",
    "var",
];

/// Calls that make a folder, and settings that name one.
const FOLDERS: &[&str] = &[
    "CreateDirectory(",
    "MEDIA_ROOT",
    "MkdirAll(",
    "Mkdir(",
    "createDirectories(",
    "create_dir(",
    "create_dir_all(",
    "dest:",
    "ensureDir(",
    "ensureDirSync(",
    "makedirs(",
    "mkdir(",
    "mkdirSync(",
    "mkdir_p",
    "os.mkdir(",
];

/// Calls that write a file.
const CALLS: &[&str] = &[
    "File::create(",
    "FileHandler(",
    "JSONFile(",
    "JSONFileSync(",
    "appendFile(",
    "appendFileSync(",
    "bbolt.Open(",
    "bolt.Open(",
    "createWriteStream(",
    "file_put_contents(",
    "fs::write(",
    "os.Create(",
    "os.OpenFile(",
    "os.WriteFile(",
    "outputFile(",
    "outputJson(",
    "writeFile(",
    "writeFileSync(",
    "writeTextFile(",
    "writeTextFileSync(",
];

/// Calls and addresses of databases that are one file.
const DATABASES: &[&str] = &[
    "Data Source=",
    "DataSource=",
    "DatabaseSync(",
    "Deno.openKv(",
    "SQLite3::Database.new",
    "jdbc:h2:",
    "jdbc:sqlite:",
    "new Database(",
    "sql.Open(\"sqlite",
    "sqlite.Open(",
    "sqlite3.Database(",
    "sqlite3.connect(",
    "sqlite:",
];

/// Parts of names of settings that say where to write, without `_` and in lower case.
const SETTINGS: &[&str] = &[
    "cachedir",
    "databaseconnection",
    "databasefile",
    "databasename",
    "databasepath",
    "datadir",
    "datafolder",
    "datapath",
    "dbfile",
    "dbname",
    "dbpath",
    "logdir",
    "sqlitepath",
    "storagedir",
    "storagepath",
    "uploaddir",
    "uploadfolder",
    "uploadsdir",
];

/// Where the program of a language writes, each folder once.
pub(crate) fn find(folder: &Folder<'_>, language: Language) -> Vec<Write> {
    let mut found = Vec::new();
    let ends = ends(language);
    if ends.is_empty() {
        return found;
    }
    sources::read(folder, ends, |file, text| {
        for line in text.lines().filter(|line| !is_comment(line)) {
            if let Some(path) = written(line) {
                add(&mut found, folder, &path, file);
            } else if line.contains("Deno.openKv()") {
                // In the folder with Deno's own cache.
                let text = "the database of Deno.openKv()".to_owned();
                let folder_of = String::new();
                let path = Path {
                    folder: folder_of,
                    text,
                };
                add(&mut found, folder, &path, file);
            }
        }
    });
    if language == Language::Python {
        python(folder, &mut found);
    }
    if language == Language::Ruby {
        rails(folder, &mut found);
    }
    // What is inside of another one is part of it.
    let all = found.clone();
    found.retain(|write| {
        let inside = |other: &Write| write.folder.starts_with(&format!("{}/", other.folder));
        !all.iter()
            .any(|other| !other.folder.is_empty() && inside(other))
    });
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    found.dedup_by(|a, b| a.folder == b.folder && !a.folder.is_empty());
    found
}

fn add(found: &mut Vec<Write>, folder: &Folder<'_>, path: &Path, file: &str) {
    let inside = folder.sub(&path.folder);
    let occupied = !path.folder.is_empty()
        && (inside
            .ending("")
            .any(|name| !name.starts_with('.') && name != "README.md")
            || inside.own_dirs().next().is_some());
    let write = Write {
        folder: path.folder.clone(),
        path: path.text.clone(),
        file: file.to_owned(),
        occupied,
    };
    let known = |other: &Write| {
        other.folder == write.folder && (!write.folder.is_empty() || other.path == write.path)
    };
    if !found.iter().any(known) {
        found.push(write);
    }
}

/// How the names of a language's sources and settings end.
fn ends(language: Language) -> &'static [&'static str] {
    match language {
        Language::Nodejs | Language::Deno => &[".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"],
        Language::Python => &[".py"],
        Language::Go => &[".go"],
        Language::Rust => &[".rs"],
        Language::Ruby => &[".rb"],
        Language::Php => &[".php"],
        Language::Java => &[".java", ".kt", ".properties", ".yml", ".yaml"],
        Language::Dotnet => &[".cs", "appsettings.json", "appsettings.Production.json"],
        _ => &[],
    }
}

/// A path that is written, and its folder.
#[derive(Debug, PartialEq, Eq)]
struct Path {
    folder: String,
    text: String,
}

/// The path that a line writes to, if it is one below the folder that the program runs in.
fn written(line: &str) -> Option<Path> {
    let has = |marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
    let opens = line.contains("open(")
        && ["\"w", "'w", "\"a\"", "'a'", "\"a+", "'a+"]
            .iter()
            .any(|mode| line.contains(mode));
    let has_database = has(DATABASES);
    let calls = has(CALLS) || opens;
    let setting = || {
        let name = line.replace(['_', '-'], "").to_ascii_lowercase();
        SETTINGS.iter().any(|part| name.contains(part))
    };
    let set = setting();
    if !has_database && !calls && !has(FOLDERS) && !set {
        return None;
    }
    // The file of a database may be known only by its end.
    let ends = |text: &str| {
        [".db", ".sqlite", ".sqlite3"]
            .iter()
            .any(|end| text.ends_with(end))
    };
    let database = has_database || (set && literals(line).any(ends));
    // Addresses in settings have no quotes.
    let bare = line.find("jdbc:").map(|at| line[at..].trim());
    let texts = literals(line).chain(bare.filter(|_| !line.contains('"')));
    let is_name = |part: &str| {
        // `shop_data`, where a setting says that it's written.
        let last = part.rsplit(['_', '-']).next().filter(|_| set);
        NAMES.contains(&part) || last.is_some_and(|last| NAMES.contains(&last))
    };
    let named = |folder: &str| folder.split('/').any(is_name);
    let is_path = |text: &String| is_file(text) || text.contains('/') || named(text);
    let mut texts = texts
        .filter_map(|text| relative(text, database))
        .filter(is_path);
    let first = texts.next()?;
    let file = first.rsplit('/').next().is_some_and(is_file);
    let folder = match first.rsplit_once('/') {
        Some((folder, _)) if file || database => folder.to_owned(),
        None if file || database => match texts.next() {
            // `join("data", "shop.db")`
            Some(_) if !file => first.clone(),
            _ => String::new(),
        },
        _ => first.clone(),
    };
    // A file beside the program is only known for what it is where a database opens it.
    let counts = match folder.as_str() {
        "" => database && file,
        folder => database || named(folder),
    };
    counts.then_some(Path {
        folder,
        text: first,
    })
}

/// Whether a name has an end, as files have.
fn is_file(name: &str) -> bool {
    name.trim_start_matches('.').contains('.')
}

/// The texts in quotes.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let at = rest.find(['"', '\'', '`'])?;
        let quote = rest[at..].chars().next()?;
        let (inside, after) = rest[at + 1..].split_once(quote)?;
        // The tags of a field in Go hold texts themselves.
        let tags = quote == '`' && inside.contains(":\"");
        rest = if tags { &rest[at + 1..] } else { after };
        Some(inside)
    })
}

/// A path below the folder that the program runs in; `None` for all other texts.
fn relative(text: &str, database: bool) -> Option<String> {
    let mut text = text;
    if database {
        for prefix in [
            "Data Source=",
            "DataSource=",
            "jdbc:sqlite:",
            "jdbc:h2:file:",
            "jdbc:h2:",
            "sqlite:///",
            "sqlite://",
            "sqlite3:",
            "sqlite:",
            "file:",
        ] {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
        let end = text.find(['?', ';']).unwrap_or(text.len());
        text = &text[..end];
    }
    let text = text.trim_start_matches("./").trim_end_matches('/');
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./".contains(ch);
    let is_path = !text.is_empty()
        && text.chars().all(plain)
        && !text.starts_with(['/', '.'])
        && !text.contains("..")
        && !text.contains("//")
        && ![
            "sqlite",
            "sqlite3",
            "sqlite-wasm",
            "utf8",
            "utf-8",
            "w",
            "wb",
            "a",
            "rw",
        ]
        .contains(&text);
    let first = text.split('/').next().unwrap_or_default();
    (is_path && !super::folder::is_foreign(first)).then(|| text.to_owned())
}

/// Folders whose names the program puts together. What a build puts into the image is none of them.
fn python(folder: &Folder<'_>, found: &mut Vec<Write>) {
    const BUILT: &[&str] = &[
        "assets",
        "dist",
        "public",
        "static",
        "static_root",
        "staticfiles",
    ];
    let has_frontend = folder.has("package.json");
    let is_built = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        BUILT.contains(&name) || (name == "build" && has_frontend)
    };
    sources::read(folder, ends(Language::Python), |file, text| {
        for made in paths::made(file, text) {
            if !is_built(&made) {
                let path = Path {
                    folder: made.clone(),
                    text: made,
                };
                add(found, folder, &path, file);
            }
        }
    });
}

/// Rails' own settings: databases that are files, and uploads on the disk. Its `tmp` and `log` are links to `/tmp`.
fn rails(folder: &Folder<'_>, found: &mut Vec<Write>) {
    let file = "config/database.yml";
    let text = folder.text(file).unwrap_or_default();
    let values = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("database:"));
    for value in values.filter(|_| text.contains("sqlite3")) {
        let value = value.trim().trim_matches(['"', '\'']);
        let Some(text) = relative(value, true) else {
            continue;
        };
        let folder_of = text.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = Path {
            folder: folder_of.to_owned(),
            text: text.clone(),
        };
        add(found, folder, &path, file);
    }
    let file = "config/environments/production.rb";
    let text = folder.text(file).unwrap_or_default();
    let local = |line: &str| !is_comment(line) && line.contains("active_storage.service = :local");
    if text.lines().any(local) {
        let path = Path {
            folder: "storage".to_owned(),
            text: "storage".to_owned(),
        };
        add(found, folder, &path, file);
    }
    found.retain(|write| {
        !["tmp", "log"].contains(&write.folder.split('/').next().unwrap_or_default())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn lines_say_where_they_write() {
        for (line, expected) in [
            (
                "fs.mkdirSync(\"./data\", { recursive: true });",
                Some("data"),
            ),
            ("new Database('./data/watch.db')", Some("data")),
            (
                "const db = new Database(path.join(__dirname, 'data', 'x.db'))",
                Some("data"),
            ),
            (
                "os.makedirs(\"uploads/images\", exist_ok=True)",
                Some("uploads/images"),
            ),
            (
                "app.config['UPLOAD_FOLDER'] = 'static/uploads'",
                Some("static/uploads"),
            ),
            ("conn = sqlite3.connect(\"shop.db\")", Some("")),
            ("url = \"sqlite:///var/shop.db?mode=rwc\"", Some("var")),
            (
                "db, err := sql.Open(\"sqlite3\", \"./db/shop.db\")",
                Some("db"),
            ),
            (
                "flag.String(\"data-dir\", \"./data\", \"where\")",
                Some("data"),
            ),
            ("flag.String(\"dir\", \"./data\", \"where\")", None),
            (
                "DatabaseConnection string `default:\"data/shop.db\" split_words:\"true\"`",
                Some("data"),
            ),
            (
                "Name string `default:\"shop.db\" env:\"SHOP_DB_NAME\"`",
                Some(""),
            ),
            ("Name string `default:\"shop\" env:\"SHOP_DB_NAME\"`", None),
            (
                "Dir string `envDefault:\"storage/blobs\" env:\"STORAGE_DIR\"`",
                Some("storage/blobs"),
            ),
            (
                "#[clap(long, env = \"SHOP_DATA_DIR\", default_value = \"shop_data\")]",
                Some("shop_data"),
            ),
            ("fs.mkdirSync('test_data')", None),
            ("var dataDir = \"./data\"", Some("data")),
            (
                "spring.datasource.url=jdbc:h2:file:./data/shop;MODE=x",
                Some("data"),
            ),
            ("  url: jdbc:h2:mem:shop", None),
            ("with open(\"data/out.json\", \"w\") as f:", Some("data")),
            ("with open(\"data/in.json\") as f:", None),
            ("multer({ dest: 'uploads/' })", Some("uploads")),
            ("Directory.CreateDirectory(\"logs\");", Some("logs")),
            (
                "options.UseSqlite(\"Data Source=data/shop.db\")",
                Some("data"),
            ),
            ("await Deno.openKv(\"./data/kv.sqlite\")", Some("data")),
            ("std::fs::create_dir_all(\"data\")?;", Some("data")),
            ("File::create(\"/tmp/x\")", None),
            ("fs.mkdirSync(`${dir}/data`)", None),
            ("fs.mkdirSync('dist')", None),
            ("fs.mkdirSync('generated')", None),
            ("new Database(':memory:')", None),
            ("readFileSync('data/seed.json')", None),
        ] {
            let found = written(line).map(|path| path.folder);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn folders_are_found_once() {
        let tree = MemTree::from([
            (
                "server.js",
                "mkdirSync('data'); // x\n// mkdirSync('logs')\n",
            ),
            (
                "src/db.js",
                "new Database('data/a/x.db')\nnew Database('db/y.db')",
            ),
            ("db/schema.sql", ""),
            ("scripts/seed.js", "mkdirSync('uploads')"),
            ("vite.config.js", "mkdirSync('cache')"),
        ]);
        let found = find(&Folder::open(&tree, ""), Language::Nodejs);
        let found: Vec<_> = found
            .iter()
            .map(|write| (write.folder.as_str(), write.file.as_str(), write.occupied))
            .collect();
        assert_eq!(
            found,
            [("data", "server.js", false), ("db", "src/db.js", true)]
        );
    }

    #[test]
    fn folders_that_python_puts_together_are_found_but_not_what_is_built() {
        let tree = MemTree::from([(
            "shop/app.py",
            "HERE = os.path.dirname(__file__)\nSTATE = os.path.join(HERE, 'state')\nos.makedirs(STATE)\nSTATIC = os.path.join(HERE, 'static')\nos.makedirs(STATIC)\n",
        )]);
        let found = find(&Folder::open(&tree, ""), Language::Python);
        let found: Vec<&str> = found.iter().map(|write| write.folder.as_str()).collect();
        assert_eq!(found, ["shop/state"]);
    }

    #[test]
    fn a_database_of_deno_without_a_path_is_named() {
        let tree = MemTree::from([("main.ts", "const kv = await Deno.openKv();")]);
        let found = find(&Folder::open(&tree, ""), Language::Deno);
        assert_eq!(found[0].path, "the database of Deno.openKv()");
    }

    #[test]
    fn rails_writes_databases_and_uploads() {
        let tree = MemTree::from([
            (
                "config/database.yml",
                "production:\n  adapter: sqlite3\n  database: storage/production.sqlite3\n",
            ),
            (
                "config/environments/production.rb",
                "  config.active_storage.service = :local\n",
            ),
            ("app/models/a.rb", "FileUtils.mkdir_p(\"tmp/x\")"),
            ("storage/.keep", ""),
        ]);
        let found = find(&Folder::open(&tree, ""), Language::Ruby);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].folder.as_str(), found[0].occupied),
            ("storage", false)
        );
    }
}
