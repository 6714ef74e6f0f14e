//! A folder that an app writes to is found in its sources, made in its image, and a volume of its pods.
#![cfg(all(feature = "detect", feature = "manifest"))]

use pipeops::core::source::MemTree;
use pipeops::detect::{BaseImages, Detector, generate};
use pipeops::manifest::{App, ManifestGenerator, SecretValues, StandardManifests, to_json_with};

#[test]
fn detection_image_and_manifests_agree() {
    let tree = MemTree::from([
        (
            "package.json",
            r#"{"scripts": {"start": "node server.js"}, "dependencies": {"better-sqlite3": "11"}}"#,
        ),
        ("server.js", "new Database('./data/watch.db')"),
    ]);
    let detection = Detector::new().detect(&tree);
    assert_eq!(detection.writable, ["data"]);
    let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
    let made = "USER 65532:65532\nWORKDIR /app/data\n";
    assert!(
        generated.dockerfile.contains(made),
        "{}",
        generated.dockerfile
    );

    let image = "registry.example.com/watch@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let mut app = App::new("watch", "watch", "4f2c9ab", image.parse().unwrap());
    app.uid = generated.uid;
    app.writable_paths.extend(generated.writable_paths);
    let stack = StandardManifests::default().generate(&app).unwrap();
    let objects = to_json_with(&stack, SecretValues::Redacted).replace(' ', "");
    assert!(objects.contains(r#""mountPath":"/app/data""#), "{objects}");
}
