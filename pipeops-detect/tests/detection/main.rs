//! Layouts of repositories and what they are. Each is there for a reason, which is its first field.

mod layout;
mod mixed;
mod simple;

use layout::*;
use pipeops_core::source::{DirTree, MemTree, SourceTree};
use pipeops_detect::{Detection, Detector, Language, LanguageDetector};

use Language::*;

fn all() -> impl Iterator<Item = &'static Layout> {
    simple::LAYOUTS.iter().chain(mixed::LAYOUTS)
}

fn detect(files: &[(&str, &str)]) -> Detection {
    Detector::new().detect(&files.iter().copied().collect::<MemTree>())
}

#[test]
fn layouts_are_what_they_are() {
    let mut wrong = Vec::new();
    for &(reason, files, language, path, apps) in all() {
        let found = detect(files);
        if (found.language, found.path.as_str()) != (language, path) || found.apps != apps {
            let expected = format!("expected {language:?} in {path} {apps:?}");
            wrong.push(format!(
                "{reason}: {expected}, apps {:?}\n{found}",
                found.apps
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        all().count(),
        wrong.join("\n")
    );
}

#[test]
fn each_conclusion_has_evidence_that_is_there() {
    for &(reason, files, ..) in all() {
        let tree: MemTree = files.iter().copied().collect();
        let found = Detector::new().detect(&tree);
        let concluded = found.language.is_some() || !found.apps.is_empty();
        assert!(!concluded || !found.evidence.is_empty(), "{reason}");
        if files.is_empty() {
            continue;
        }
        for evidence in &found.evidence {
            let is_file = tree.read(&evidence.path, 0).unwrap().is_some();
            assert!(
                is_file || !tree.list(&evidence.path).unwrap().is_empty(),
                "{reason}: {evidence:?}"
            );
        }
        assert!((0.0..=1.0).contains(&found.confidence), "{reason}");
        let others: Vec<f64> = found
            .alternatives
            .iter()
            .map(|other| other.confidence)
            .collect();
        assert!(
            others.iter().all(|&other| other <= found.confidence)
                && others.is_sorted_by(|a, b| a >= b),
            "{reason}"
        );
    }
}

#[test]
fn what_is_told_always_wins() {
    for &(reason, files, ..) in all() {
        for &language in Language::ALL {
            let tree: MemTree = files.iter().copied().collect();
            let found = Detector::new().language(language).detect(&tree);
            assert_eq!(
                (found.language, found.confidence),
                (Some(language), 1.0),
                "{reason}"
            );
        }
    }
    let tree = MemTree::from([
        ("package.json", EXPRESS),
        ("api/app.py", FLASK),
        ("api/requirements.txt", "flask"),
    ]);
    let found = Detector::new().language(Python).detect(&tree);
    assert_eq!(
        (found.path.as_str(), found.framework.as_deref()),
        ("api", Some("flask"))
    );
}

#[test]
fn a_folder_is_looked_at_by_itself() {
    let tree = MemTree::from([
        ("package.json", EXPRESS),
        ("api/go.mod", "module x"),
        ("api/main.go", GO_MAIN),
    ]);
    for (path, language) in [
        ("api", Some(Go)),
        ("./api/", Some(Go)),
        ("nowhere", None),
        ("../api", None),
    ] {
        assert_eq!(
            Detector::new().path(path).detect(&tree).language,
            language,
            "{path}"
        );
    }
}

#[test]
fn a_procfile_starts_and_a_dockerfile_is_reported() {
    let found = detect(&[
        ("requirements.txt", "flask"),
        ("app.py", FLASK),
        ("Procfile", "worker: python work.py\n"),
    ]);
    assert_eq!(
        (found.start.as_deref(), found.port),
        (Some("python work.py"), None)
    );
    let found = detect(&[
        ("go.mod", "module x"),
        ("main.go", GO_MAIN),
        ("Dockerfile", "FROM scratch\nEXPOSE 9000/tcp\n"),
    ]);
    assert_eq!(
        (found.language, found.dockerfile.as_deref(), found.port),
        (Some(Go), Some("Dockerfile"), Some(9000))
    );
    let found = detect(&[("Dockerfile", "not one")]);
    assert_eq!(
        (found.language, found.dockerfile.as_deref()),
        (None, Some("Dockerfile"))
    );
}

#[test]
fn detectors_of_ones_own_combine_with_the_rules() {
    #[derive(Debug)]
    struct Cobol(f64);
    impl LanguageDetector for Cobol {
        fn detect(&self, tree: &dyn SourceTree) -> Detection {
            let mut found = Detection::default();
            if tree.read("main.cob", 0).is_ok_and(|file| file.is_some()) {
                found.language = Some(Static);
                found.framework = Some("cobol".to_owned());
                found.path = ".".to_owned();
                found.confidence = self.0;
            }
            found
        }
    }
    let tree = MemTree::from([("main.cob", ""), ("main.py", "")]);
    let framework = |confidence| {
        Detector::new()
            .with(Cobol(confidence))
            .detect(&tree)
            .framework
    };
    assert_eq!(framework(1.0).as_deref(), Some("cobol"));
    assert_eq!(framework(0.1), None);
}

#[test]
fn json_has_the_documented_shape() {
    let json =
        serde_json::to_value(detect(&[("package.json", EXPRESS), ("index.js", "")])).unwrap();
    let object = json.as_object().unwrap();
    for key in [
        "language",
        "framework",
        "path",
        "confidence",
        "evidence",
        "alternatives",
        "version",
        "packageManager",
        "start",
        "port",
    ] {
        assert!(object.contains_key(key), "{key} is missing in {json}");
    }
    assert_eq!(json["language"], "nodejs");
    let evidence = &json["evidence"][0];
    assert!(
        evidence["path"].is_string() && evidence["says"].is_string(),
        "{json}"
    );
}

#[test]
fn a_report_says_what_and_why() {
    let report = detect(&[
        ("requirements.txt", "flask"),
        ("app.py", FLASK),
        ("package.json", VITE),
    ])
    .to_string();
    for text in [
        "python (flask)",
        "Start",
        "requirements.txt  depends on flask",
        "It could also be\n  nodejs",
    ] {
        assert!(report.contains(text), "{text} is missing in\n{report}");
    }
}

#[test]
fn each_app_that_is_listed_is_one_by_itself() {
    for &(reason, files, ..) in mixed::LAYOUTS {
        let tree: MemTree = files.iter().copied().collect();
        for app in detect(files).apps {
            let found = Detector::new().path(&app).detect(&tree);
            assert!(found.language.is_some(), "{reason}: {app}");
            assert_eq!(found.path, app, "{reason}");
        }
    }
}

#[test]
fn what_is_near_is_found_in_a_tree_of_any_size() {
    let many = (0..3_000).map(|at| (format!("a/{at:04}/x/notes.txt"), String::new()));
    let app = [
        ("z/package.json".to_owned(), EXPRESS.to_owned()),
        ("z/index.js".to_owned(), String::new()),
    ];
    let files: Vec<(String, String)> = many.chain(app).collect();
    let tree: MemTree = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let found = Detector::new().detect(&tree);
    assert_eq!((found.language, found.path.as_str()), (Some(Nodejs), "z"));
}

#[test]
fn manifests_of_any_size_and_coding_are_read_as_far_as_they_go() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20));
    let found = detect(&[("package.json", &long), ("index.js", "")]);
    assert!(found.confidence <= 0.5 && found.start.is_none(), "{found}");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let wide: Vec<u8> = "flask\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(
        path("requirements.txt"),
        [b"\xFF\xFE", wide.as_slice()].concat(),
    )
    .unwrap();
    std::fs::write(path("app.py"), FLASK).unwrap();
    std::fs::write(path("go.mod"), b"\xE9\xFF\x00").unwrap();
    let found = Detector::new().detect(&DirTree::new(dir.path()).unwrap());
    assert_eq!(found.language, Some(Python));
    assert_eq!(found.framework.as_deref(), Some("flask"));
}

#[cfg(unix)]
#[test]
fn symlinks_are_neither_files_nor_folders() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("outside")).unwrap();
    std::fs::write(path("outside/package.json"), EXPRESS).unwrap();
    std::fs::create_dir_all(path("tree/app")).unwrap();
    symlink(path("outside"), path("tree/linked")).unwrap();
    symlink(path("outside/package.json"), path("tree/app/package.json")).unwrap();
    // A circle: to walk it would never end.
    symlink(path("tree"), path("tree/app/again")).unwrap();
    let found = Detector::new().detect(&DirTree::new(path("tree")).unwrap());
    assert_eq!((found.language, found.apps.len()), (None, 0));
}
