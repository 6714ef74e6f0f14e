//! The ConfigMap, Secret or key that is missing according to the kubelet.

/// `ConfigMap "x"` or `Secret "x"` if the message says that it's missing.
pub(super) fn missing_source(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    if !lower.contains("not found") && !lower.contains("couldn't find key") {
        return None;
    }
    [("configmap", "ConfigMap"), ("secret", "Secret")]
        .into_iter()
        .find_map(|(word, kind)| {
            let at = lower.find(&format!("{word} \""))?;
            let name = message.get(at + word.len() + 2..)?.split('"').next()?;
            Some(format!("{kind} \"{name}\""))
        })
}

/// Key and object of `couldn't find key PORT in ConfigMap shop/web-config`.
pub(super) fn missing_key(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("couldn't find key ")?;
    let (key, object) = rest.split_once(" in ")?;
    let (kind, name) = object.split_once(' ')?;
    let name = name.rsplit('/').next()?;
    Some(format!("key {key} of {kind} \"{name}\""))
}
