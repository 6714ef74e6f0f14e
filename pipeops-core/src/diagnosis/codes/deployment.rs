//! Causes of refused or failed deployments: webhooks, projects, store, clone, pipeline.

pages! {}
