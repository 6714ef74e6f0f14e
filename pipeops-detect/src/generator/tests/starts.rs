//! What images run, where that writes, and what builds are told.

use super::*;

/// Start commands of Procfiles: some for every language, which need a shell or don't.
const COMMANDS_OF_PROCFILES: &[&str] = &[
    "shop serve --addr :$PORT",
    "A=1 B='x y' shop ${PORT:-3000}",
    "A=$OTHER shop $OPTIONS",
    "shop one && shop two | shop three",
    "shop $(date) > /dev/null",
    "cd x && exec shop \"a b\"",
];

/// Base images by the start of their names, and whether they have a shell.
#[rustfmt::skip]
const SHELLS: &[(&str, bool)] = &[
    ("gcr.io/distroless/", false), ("ghcr.io/getzola/zola", false), ("assets", true), ("build", true), ("clojure", true),
    ("composer", true), ("crystallang/", true), ("dart", true), ("debian", true), ("denoland/", true), ("eclipse-temurin", true),
    ("elixir", true), ("ghcr.io/cirruslabs/", true), ("ghcr.io/gleam-lang/", true), ("golang", true), ("gradle", true),
    ("haskell", true), ("hugomods/", true), ("mambaorg/", true), ("maven", true), ("mcr.microsoft.com/", true),
    ("mlocati/", true), ("nginxinc/", true), ("node", true), ("oven/bun", true), ("php", true), ("python", true), ("ruby", true),
    ("rust", true), ("sbtscala/", true), ("squidfunk/", true), ("swift", true), ("tomcat", true),
];

#[test]
fn no_recipe_uses_a_shell_that_its_image_lacks() {
    let check = |files: &[(&str, &str)]| {
        let tree: MemTree = files.iter().copied().collect();
        let detection = Detector::new().detect(&tree);
        // A command that the image can't run is an error.
        let Ok(generated) = generate(&tree, &detection, &BaseImages::default()) else {
            return false;
        };
        let text = generated.dockerfile;
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        for stage in &file.stages {
            let image = stage.from.text.split(' ').next().unwrap();
            let row = SHELLS.iter().find(|(start, _)| image.starts_with(start));
            let (_, shell) = row.unwrap_or_else(|| panic!("is there a shell in {image}?"));
            for instruction in stage.instructions().filter(|_| !shell) {
                let uses = match &instruction.arguments {
                    Arguments::Exec(words) => {
                        words.first().is_some_and(|word| word.text.ends_with("/sh"))
                    }
                    _ => matches!(instruction.keyword, Keyword::Run | Keyword::Cmd),
                };
                assert!(!uses, "{image} has no shell:\n{text}");
            }
        }
        true
    };
    for files in PROJECTS {
        assert!(check(files), "{files:?}");
        for command in COMMANDS_OF_PROCFILES {
            let procfile = format!("web: {command}");
            let files = [*files, &[("Procfile", procfile.as_str())]].concat();
            // Variables in front of the command stay, in each language.
            if check(&files) {
                let text = generated(&files).dockerfile;
                assert!(!command.starts_with("A=") || text.contains("A="), "{text}");
            }
        }
    }
}

const GO: &[(&str, &str)] = &[
    ("go.mod", "module example.com/shop"),
    ("main.go", "package main\nfunc main() {}"),
    ("start.sh", "#!/bin/sh"),
];
const ROCKET: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[package]\nname='shop'\n[dependencies]\nrocket='0.5'",
    ),
    ("src/main.rs", "fn main() {}"),
    ("src/bin/worker.rs", "fn main() {}"),
];
const ZIG: &[(&str, &str)] = &[("build.zig", "b.addExecutable(.{ .name = \"shop\" })")];
const NODE: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"scripts": {"start": "node server.js", "serve": "node server.js", "both": "npm start"}, "dependencies": {"koa": "2"}}"#,
    ),
    ("pnpm-lock.yaml", "lockfileVersion: '9.0'"),
    ("server.js", "require('koa')"),
];
const MEMBERS: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"private": true, "workspaces": ["apps/*"]}"#,
    ),
    ("yarn.lock", ""),
    (
        "apps/api/package.json",
        r#"{"name": "@x/api", "scripts": {"build": "tsc", "start": "node dist/a.js"}, "dependencies": {"koa": "2"}}"#,
    ),
    (
        "apps/web/package.json",
        r#"{"name": "@x/web", "scripts": {"start": "node b.js"}, "dependencies": {"koa": "2"}}"#,
    ),
];
const PYTHON: &[(&str, &str)] = &[
    ("requirements.txt", "flask\ngunicorn"),
    (
        "Pipfile",
        "[packages]\nflask = '*'\n[scripts]\nweb = 'gunicorn app:app'",
    ),
    ("app.py", "from flask import Flask\napp = Flask(__name__)"),
];
const PHP: &[(&str, &str)] = &[
    (
        "composer.json",
        r#"{"require": {"php": "^8.3", "slim/slim": "^4.0"}}"#,
    ),
    ("web/index.php", "<?php"),
];
const SPRING: &[(&str, &str)] = &[
    (
        "pom.xml",
        "<artifactId>shop</artifactId><version>1.0</version> spring-boot-maven-plugin spring-boot-starter-web",
    ),
    ("mvnw", ""),
];
const WAR: &[(&str, &str)] = &[("pom.xml", "<packaging>war</packaging> jakarta.servlet")];
const SCALA: &[(&str, &str)] = &[
    ("build.sbt", "name := \"shop\""),
    ("project/plugins.sbt", "\"sbt-native-packager\""),
];
const CLOJURE: &[(&str, &str)] = &[("project.clj", "(defproject shop \"0.1\" :main shop.core)")];
const DECK: &[(&str, &str)] = &[
    (
        "Deck.sln",
        "\"Deck.Api\\Deck.Api.csproj\", \"Deck.Domain\\Deck.Domain.csproj\"",
    ),
    (
        "Deck.Api/Deck.Api.csproj",
        "Microsoft.NET.Sdk.Web <TargetFramework>net9.0</TargetFramework> <ProjectReference Include=\"../Deck.Domain/Deck.Domain.csproj\" />",
    ),
    ("Deck.Domain/Deck.Domain.csproj", "Microsoft.NET.Sdk"),
];
const PHOENIX: &[(&str, &str)] = &[
    (
        "mix.exs",
        "app: :press,\nmod: {Press, []}\n{:phoenix, \"~> 1.7\"}",
    ),
    ("config/config.exs", "import Config"),
];
const RAILS: &[(&str, &str)] = &[
    ("Gemfile", "gem 'rails'\ngem 'puma'\ngem 'thruster'"),
    ("config/application.rb", ""),
    ("bin/rails", ""),
];

/// A project, the command of its Procfile, and lines of the Dockerfile; or a part of the error, behind `!`.
type Started = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const STARTED: &[Started] = &[
    // Compiled programs: one program, mostly without a shell.
    (GO, "shop serve --addr :$PORT", &["FROM gcr.io/distroless/static-debian12:nonroot", r#"CMD ["/usr/local/bin/app", "serve", "--addr", ":8080"]"#]),
    (GO, "A=1 B='x y' bin/shop", &["ENV A=1 \\", "    B=\"x y\"", r#"CMD ["/usr/local/bin/app"]"#]),
    (GO, "shop migrate && exec shop serve", &["FROM debian:bookworm-slim", r#"CMD ["/bin/sh", "-c", "/usr/local/bin/app migrate && exec /usr/local/bin/app serve"]"#]),
    (GO, "bin/shop $OPTIONS", &["FROM debian:bookworm-slim", r#"CMD ["/bin/sh", "-c", "exec /usr/local/bin/app $OPTIONS"]"#]),
    (GO, "go run . serve -p ${PORT:-80}", &[r#"CMD ["/usr/local/bin/app", "serve", "-p", "8080"]"#]),
    (GO, "cd cmd && $GOPATH/bin/shop", &[r#"CMD ["/usr/local/bin/app"]"#]),
    (GO, "./start.sh", &["!no `./start.sh`"]),
    (GO, "goose up && bin/shop", &["!no `goose`"]),
    (GO, "make run", &["!no `make`"]),
    (ROCKET, "ROCKET_PORT=$PORT ./target/release/shop", &["ENV ROCKET_PORT=$PORT", r#"CMD ["/usr/local/bin/app"]"#]),
    (ROCKET, "cargo run --release --bin shop -- --port $PORT", &[r#"CMD ["/usr/local/bin/app", "--port", "8080"]"#]),
    (ROCKET, "target/release/worker", &[" && cp target/release/worker /usr/local/bin/app"]),
    (ROCKET, "server", &[" && cp target/release/shop /usr/local/bin/app"]),
    (ZIG, "zig-out/bin/shop --port $PORT", &[r#"CMD ["/usr/local/bin/app", "--port", "8080"]"#]),
    // Scripts without their manager, which the image may lack.
    (NODE, "pnpm start", &[r#"CMD ["node", "server.js"]"#]),
    (NODE, "pnpm start --services=web", &[r#"CMD ["node", "server.js", "--services=web"]"#]),
    (NODE, "yarn run serve --services=web", &[r#"CMD ["node", "server.js", "--services=web"]"#]),
    (NODE, "npm run serve -- --port $PORT", &[r#"CMD ["/bin/sh", "-c", "exec node server.js --port $PORT"]"#]),
    (NODE, "npm run both --silent", &[r#"CMD ["npm", "run", "both"]"#]),
    (NODE, "npm run both -- -x", &[r#"CMD ["npm", "run", "both", "--", "-x"]"#]),
    (NODE, "NODE_OPTIONS=--max-old-space-size=400 pnpm exec node server.js", &["ENV NODE_OPTIONS=--max-old-space-size=400", r#"CMD ["node", "server.js"]"#]),
    (NODE, "node migrate.js && yarn start", &[r#"CMD ["/bin/sh", "-c", "node migrate.js && exec node server.js"]"#]),
    (NODE, "pnpm run other", &["!no script `other`"]),
    (NODE, "pnpm -r start", &["!no `pnpm`"]),
    (MEMBERS, "yarn workspace @x/api start", &["RUN yarn workspace @x/api run build", "WORKDIR /app/apps/api", r#"CMD ["node", "dist/a.js"]"#]),
    (MEMBERS, "npm start -w apps/web", &["WORKDIR /app/apps/web", r#"CMD ["node", "b.js"]"#]),
    // Environments of Python are in the PATH.
    (PYTHON, "poetry run gunicorn app:app", &[r#"CMD ["gunicorn", "app:app"]"#]),
    (PYTHON, "uv run --no-sync --env-file .env app.py --x", &[r#"CMD ["python", "app.py", "--x"]"#]),
    (PYTHON, "uv run -m app", &[r#"CMD ["python", "-m", "app"]"#]),
    (PYTHON, "pipenv run web --workers 2", &[r#"CMD ["gunicorn", "app:app", "--workers", "2"]"#]),
    (PYTHON, "npm start", &["!no `npm`"]),
    // Heroku's web servers of PHP.
    (PHP, "heroku-php-apache2 web/", &["FROM php:8.3-apache", r#"CMD ["apache2-foreground"]"#]),
    (PHP, "vendor/bin/heroku-php-nginx -C nginx.conf ./web", &["FROM php:8.3-apache", r#"CMD ["apache2-foreground"]"#]),
    (PHP, "php migrate.php && heroku-php-apache2 web/", &[r#"CMD ["/bin/sh", "-c", "php migrate.php && exec apache2-foreground"]"#]),
    // Archives by the names that they have in the image, and options of the virtual machine.
    (SPRING, "java -Dserver.port=$PORT $JAVA_OPTS -jar target/shop-1.0.jar --a", &[r#"CMD ["/bin/sh", "-c", "exec java -Dserver.port=$PORT $JAVA_OPTS -jar app.jar --a"]"#]),
    (SPRING, "A=1 java -jar target/*.jar", &[r#"CMD ["/bin/sh", "-c", "A=1 java -jar app.jar"]"#]),
    (SPRING, "./mvnw spring-boot:run", &[r#"CMD ["java", "-jar", "app.jar"]"#]),
    (SPRING, "mvn flyway:migrate && java -jar target/shop.jar", &["!no `mvn`"]),
    (WAR, "A=1 java $JAVA_OPTS -jar target/dependency/webapp-runner.jar --port $PORT target/*.war", &[r#"CMD ["/bin/sh", "-c", "A=1 catalina.sh run"]"#]),
    (WAR, "./bin/shop", &["!Tomcat"]),
    (SCALA, "target/universal/stage/bin/shop migrate && target/universal/stage/bin/shop -Dhttp.port=$PORT", &[r#"CMD ["/bin/sh", "-c", "/app/bin/shop migrate && exec /app/bin/shop -Dhttp.port=$PORT"]"#]),
    (CLOJURE, "java $JVM_OPTS -jar target/uberjar/shop.jar", &[r#"CMD ["/bin/sh", "-c", "exec java $JVM_OPTS -jar app.jar"]"#]),
    (CLOJURE, "lein run", &[r#"CMD ["java", "-jar", "app.jar"]"#]),
    // What is published.
    (DECK, "cd out && dotnet Deck.Api.dll", &[r#"CMD ["dotnet", "Deck.Api.dll"]"#]),
    (DECK, "cd $HOME/heroku_output && ./Deck.Api --urls http://*:$PORT", &[r#"CMD ["/bin/sh", "-c", "exec dotnet Deck.Api.dll --urls http://*:$PORT"]"#]),
    (DECK, "dotnet Deck.Api/bin/Release/net9.0/publish/Deck.Api.dll", &[r#"CMD ["dotnet", "Deck.Api.dll"]"#]),
    (DECK, "dotnet run --project Deck.Api -- --seed", &[r#"CMD ["dotnet", "Deck.Api.dll", "--seed"]"#]),
    (DECK, "dotnet out/Deck.Domain.dll", &["!which makes Deck.Api.dll"]),
    (DECK, "dotnet ef database update && dotnet out/Deck.Api.dll", &["!`dotnet ef`"]),
    // Releases.
    (PHOENIX, "MIX_ENV=prod mix phx.server", &["ENV MIX_ENV=prod", r#"CMD ["/app/bin/press", "start"]"#]),
    (PHOENIX, "_build/prod/rel/press/bin/press eval X && _build/prod/rel/press/bin/press start", &[r#"CMD ["/bin/sh", "-c", "/app/bin/press eval X && exec /app/bin/press start"]"#]),
    (PHOENIX, "mix ecto.migrate && mix phx.server", &["!no `mix`"]),
    // A proxy in front of the app.
    (RAILS, "bundle exec thrust ./bin/rails server", &["ENV HTTP_PORT=$PORT \\", "    TARGET_PORT=3001", r#"CMD ["bundle", "exec", "thrust", "./bin/rails", "server"]"#]),
    (RAILS, "bin/rails db:prepare && bin/thrust bin/rails s", &["    TARGET_PORT=3001", r#"CMD ["/bin/sh", "-c", "bin/rails db:prepare && exec bin/thrust bin/rails s"]"#]),
];

#[test]
fn commands_of_procfiles_run_what_the_image_has() {
    let mut wrong = Vec::new();
    for (files, command, expected) in STARTED {
        let procfile = format!("web: {command}\n");
        let tree: MemTree = files
            .iter()
            .copied()
            .chain([("Procfile", procfile.as_str())])
            .collect();
        let detection = Detector::new().detect(&tree);
        let text = match generate(&tree, &detection, &BaseImages::default()) {
            Ok(generated) => generated.dockerfile,
            Err(error) => format!("!{}", error.diagnosis()),
        };
        for line in *expected {
            let found = match line.strip_prefix('!') {
                Some(part) => text.starts_with('!') && text.contains(part),
                None => text.lines().any(|own| own == *line),
            };
            if !found {
                wrong.push(format!("{command}: no {line}\n{text}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn options_without_an_effect_are_named() {
    let generated = generated(
        &[
            PHP,
            &[("Procfile", "web: heroku-php-nginx -C nginx.conf web/")],
        ]
        .concat(),
    );
    let reason = &generated.reasons.last().unwrap().why;
    assert!(
        reason.contains("-C of the start command have no effect"),
        "{reason}"
    );
}

#[test]
fn settings_that_would_stay_in_a_release_are_refused() {
    for (config, names) in [
        (
            "secret_key_base: Map.fetch!(System.get_env(), \"SECRET_KEY_BASE\")",
            "SECRET_KEY_BASE",
        ),
        (
            "url: System.fetch_env!(\"DATABASE_URL\")\nkey: System.fetch_env!(\"KEY\")",
            "DATABASE_URL, KEY",
        ),
        (
            "url =\n  System.get_env(\"DATABASE_URL\") ||\n    raise \"missing\"",
            "DATABASE_URL",
        ),
    ] {
        let files = [PHOENIX, &[("config/prod.exs", config)]].concat();
        let tree: MemTree = files.iter().copied().collect();
        let detection = Detector::new().detect(&tree);
        let error = generate(&tree, &detection, &BaseImages::default()).unwrap_err();
        let text = error.diagnosis().to_string();
        assert!(
            text.contains("config/prod.exs reads ") && text.contains(names),
            "{text}"
        );
    }
    let optional = "level: System.get_env(\"LEVEL\") || \"info\"\n# System.fetch_env!(\"X\")";
    generated(&[PHOENIX, &[("config/prod.exs", optional)]].concat());
}

#[test]
fn folders_that_the_app_writes_to_are_its_own() {
    let node = [
        (
            "package.json",
            r#"{"scripts": {"start": "node server.js"}, "dependencies": {"better-sqlite3": "11"}}"#,
        ),
        ("package-lock.json", "{}"),
        (
            "server.js",
            "fs.mkdirSync(\"./data\", { recursive: true });\nnew Database(\"./data/watch.db\");\nlisten(process.env.PORT)",
        ),
    ];
    let go = [
        ("go.mod", "module x"),
        (
            "main.go",
            "package main\nfunc main() { os.MkdirAll(\"uploads/a\", 0o755) }",
        ),
    ];
    let python = [
        ("requirements.txt", "flask"),
        (
            "app.py",
            "app = Flask(__name__)\nconn = sqlite3.connect('shop.db')\napp.config['UPLOAD_FOLDER'] = 'static/uploads'",
        ),
    ];
    let seeded = [&node[..], &[("data/seed.json", "{}")]].concat();
    let member = [
        ("package.json", r#"{"workspaces": ["apps/*"]}"#),
        (
            "apps/api/package.json",
            r#"{"name": "api", "scripts": {"start": "node a.js"}, "dependencies": {"koa": "2"}}"#,
        ),
        ("apps/api/a.js", "mkdirSync('logs')"),
    ];
    for (files, paths, lines) in [
        (
            &node[..],
            &["/app/data"][..],
            "USER 65532:65532\nWORKDIR /app/data\nWORKDIR /app\nEXPOSE",
        ),
        (
            &go,
            &["/app/uploads/a"],
            "USER 65532:65532\nWORKDIR /app/uploads/a\nWORKDIR /app\n",
        ),
        (
            &python,
            &["/app/static/uploads"],
            "WORKDIR /app/static/uploads\n",
        ),
        (&seeded, &[], "USER 65532:65532\nEXPOSE"),
        (
            &member,
            &["/app/apps/api/logs"],
            "WORKDIR /app/apps/api/logs\nWORKDIR /app/apps/api\n",
        ),
    ] {
        let generated = generated(files);
        assert_eq!(generated.writable_paths, paths, "{files:?}");
        assert!(
            generated.dockerfile.contains(lines),
            "{}",
            generated.dockerfile
        );
    }
    let says = |files: &[(&str, &str)]| {
        let tree: MemTree = files.iter().copied().collect();
        Detector::new().detect(&tree).to_string()
    };
    for (files, text) in [
        (&node[..], "writes to data: the folder is writable"),
        (&seeded, "writes to data, which is read-only"),
        (&python, "writes shop.db beside the program"),
        (&node, "Writes to   data"),
    ] {
        assert!(says(files).contains(text), "{text}: {}", says(files));
    }
    // A detection can be changed: what is no folder inside of the app's is left out.
    let tree = MemTree::from(go);
    let mut detection = Detector::new().detect(&tree);
    detection.writable = ["/etc", "../x", "a b", "ok"].map(str::to_owned).to_vec();
    let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
    assert_eq!(generated.writable_paths, ["/app/ok"]);
}

const STATS: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"scripts": {"build": "node check-env.js && prisma generate && next build", "build-docker": "prisma generate && next build", "start": "next start"}, "dependencies": {"next": "15", "prisma": "7", "@prisma/client": "7"}}"#,
    ),
    ("package-lock.json", "{}"),
    (
        "prisma.config.ts",
        "datasource: { url: env(\"DATABASE_URL\") }",
    ),
    (
        "check-env.js",
        "if (!process.env.DATABASE_URL) process.exit(1)",
    ),
];
const POLLS: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"scripts": {"build": "next build", "start": "next start", "postinstall": "prisma generate"}, "dependencies": {"next": "15", "prisma": "7"}}"#,
    ),
    ("package-lock.json", "{}"),
    ("prisma.config.ts", "url: env('DATABASE_URL')"),
    (
        "src/env.js",
        "createEnv({ skipValidation: !!process.env.SKIP_ENV_VALIDATION })",
    ),
];

/// A project, what its build is told in one step, and the names that the image must not have.
type StandIns = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip]
const STAND_INS: &[StandIns] = &[
    (STATS, &["RUN export DATABASE_URL=postgresql://build:build@localhost/build \\", "    && npm run build-docker \\"], &["DATABASE_URL"]),
    (POLLS, &["    export DATABASE_URL=postgresql://build:build@localhost/build SKIP_ENV_VALIDATION=1 \\", "RUN export DATABASE_URL=postgresql://build:build@localhost/build SKIP_ENV_VALIDATION=1 \\"], &["DATABASE_URL", "SKIP_ENV_VALIDATION"]),
    (&[("Gemfile", "gem 'rails'\ngem 'propshaft'\ngem 'sqlite3'"), ("config/application.rb", "ENV.fetch('API_KEY')"), ("config/database.yml.sample", ""), (".gitignore", "/config/database.yml")], &["RUN RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 API_KEY=build-only-build-only-build-only DATABASE_URL=sqlite3:/tmp/build.sqlite3 bundle exec rails assets:precompile \\"], &["SECRET_KEY_BASE_DUMMY", "API_KEY", "DATABASE_URL"]),
    (&[("composer.json", r#"{"require": {"laravel/framework": "12"}}"#), ("public/index.php", "")], &["RUN APP_KEY=base64:YnVpbGQtb25seS1idWlsZC1vbmx5LWJ1aWxkLW9ubHk= DB_CONNECTION=sqlite DB_DATABASE=:memory: php artisan package:discover --ansi \\"], &["APP_KEY", "DB_DATABASE"]),
    (&[("requirements.txt", "django\ngunicorn"), ("manage.py", "'DJANGO_SETTINGS_MODULE', 'a.settings'\nimport django"), ("a/wsgi.py", ""), ("a/settings.py", "STATIC_ROOT = 'x'\nK = os.environ['SECRET_KEY']")], &["RUN SECRET_KEY=build-only-build-only-build-only python manage.py collectstatic --noinput"], &["SECRET_KEY"]),
];

#[test]
fn stand_ins_are_set_for_one_step_only() {
    for (files, lines, names) in STAND_INS {
        let text = generated(files).dockerfile;
        for line in *lines {
            assert!(text.lines().any(|own| own == *line), "{line}\n{text}");
        }
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let kept = file.stages.iter().flat_map(|stage| stage.instructions());
        for instruction in kept.filter(|own| matches!(own.keyword, Keyword::Env | Keyword::Arg)) {
            let lines = instruction.lines();
            let own: Vec<&str> = text
                .lines()
                .skip(lines.start() - 1)
                .take(lines.end() - lines.start() + 1)
                .collect();
            for name in *names {
                assert!(!own.join("\n").contains(name), "{own:?}");
            }
        }
    }
}
