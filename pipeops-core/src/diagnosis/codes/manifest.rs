//! Causes of refused app configurations.

pages! {
    INVALID_CONFIGURATION = "manifest/invalid-configuration" {
        title: "Deployment failed: InvalidConfiguration",
        meaning: "Some of the app's settings are invalid, so PipeOps generated no manifests and applied nothing. The fixes list each setting and its rule.",
        fixes: ["Correct every setting that the diagnosis names"],
    }
}
