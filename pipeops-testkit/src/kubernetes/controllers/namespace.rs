//! The namespace controller: creates the default service account.

use serde_json::json;

use super::Controllers;
use crate::kubernetes::resources::{NAMESPACES, SERVICE_ACCOUNTS};

impl Controllers {
    /// Gives a namespace its service account.
    pub(super) fn namespace(&mut self, name: &str) {
        let known = self.get(&NAMESPACES, "", name).is_some();
        if known && self.get(&SERVICE_ACCOUNTS, name, "default").is_none() {
            let account = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default"},
            });
            let _ = self.create(&SERVICE_ACCOUNTS, name, &account);
        }
    }
}
