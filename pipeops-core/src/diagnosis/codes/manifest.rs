//! Causes of refused app configurations.

pages! {
    INVALID_CONFIGURATION = "manifest/invalid-configuration" {
        title: "Deployment failed: InvalidConfiguration",
        meaning: "Settings of the app are not valid, so PipeOps generated no manifests and applied nothing. The fixes name every setting and its rule.",
        fixes: ["Correct every setting that the diagnosis names"],
    }
}
