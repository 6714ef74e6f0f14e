//! Scripted faults: what goes wrong, when, how often, and whether it did.
//!
//! Every stand-in has one [`Faults`] (`stand_in.faults()`). A test adds rules to it; each call that the stand-in serves
//! is shown to the rules in the order in which they were added, and the first one that matches and still has a firing
//! left decides. The same calls in the same order always meet the same faults.
//!
//! ```
//! use pipeops_testkit::fault::{Call, Fault, Faults, Matcher};
//!
//! let faults = Faults::default();
//! let throttled = faults.add(Fault::too_many_requests(2).on(Matcher::path("/v2/*").method("PUT")).times(2));
//!
//! let put = Call::new("PUT", "/v2/app/manifests/1", "manifest.put");
//! assert!(faults.next(&put).is_some());
//! assert!(faults.next(&Call::new("GET", "/v2/", "ping")).is_none());
//! assert!(faults.next(&put).is_some());
//! assert!(faults.next(&put).is_none(), "only twice");
//! assert_eq!(throttled.fired(), 2);
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection ends without a byte of answer. (Once the server has [crashed](Fault::Crash), new connections are
    /// refused by the system itself.)
    Refuse,
    /// The answer comes, this much later.
    Delay(Duration),
    /// The answer begins, and the connection ends after this many bytes of its body. A watch or another stream ends
    /// after the first message that crosses the limit.
    Cut {
        /// Bytes of the body that still arrive.
        after_bytes: usize,
    },
    /// This answer instead of the true one. Stand-ins that speak gRPC answer with the code that stands for it.
    Status {
        /// The HTTP status code.
        code: u16,
        /// Headers of the answer.
        headers: Vec<(String, String)>,
        /// The body; none stands for the stand-in's own error body of this status.
        body: Option<String>,
    },
    /// 410 Gone: what the client refers to is no longer known (a Kubernetes version, an upload session).
    Gone,
    /// The credentials were good once: 401 or 403, as the server answers it.
    Expired {
        /// 401 or 403.
        code: u16,
    },
    /// The server dies: all connections are cut and new ones are refused, until the stand-in is restarted.
    Crash,
}

impl Fault {
    /// A bare status, for instance 503.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            headers: Vec::new(),
            body: None,
        }
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::status(429).header("Retry-After", retry_after_seconds.to_string())
    }

    /// 401, as expired credentials get it.
    pub fn unauthorized() -> Self {
        Self::Expired { code: 401 }
    }

    /// 403, as some servers answer to expired credentials.
    pub fn forbidden() -> Self {
        Self::Expired { code: 403 }
    }

    /// Adds a header to a [`Fault::Status`]; other faults stay as they are.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets the body of a [`Fault::Status`]; other faults stay as they are.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        if let Self::Status { body, .. } = &mut self {
            *body = Some(text.into());
        }
        self
    }

    /// The rule that this fault meets the calls that match, the first one only until [`Rule::times`] or
    /// [`Rule::always`] says otherwise.
    pub fn on(self, matcher: Matcher) -> Rule {
        Rule {
            fault: self,
            matcher,
            skip: 0,
            limit: Some(1),
        }
    }
}

/// One call that a stand-in serves, as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The stand-in's own word for what is asked; each stand-in's documentation lists its words.
    pub operation: String,
}

impl Call {
    /// A call.
    pub fn new(
        method: impl Into<String>,
        path: impl Into<String>,
        operation: impl Into<String>,
    ) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            operation: operation.into(),
        }
    }
}

/// Which calls a rule is about. Parts that are not set match everything; in each part `*` stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    method: Option<String>,
    path: Option<String>,
    operation: Option<String>,
}

impl Matcher {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls whose path, query included, matches this pattern.
    pub fn path(pattern: impl Into<String>) -> Self {
        Self {
            path: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// Calls whose operation matches this pattern.
    pub fn operation(pattern: impl Into<String>) -> Self {
        Self {
            operation: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// Restricts to an HTTP method.
    #[must_use]
    pub fn method(mut self, pattern: impl Into<String>) -> Self {
        self.method = Some(pattern.into());
        self
    }

    /// Restricts to paths that match this pattern.
    #[must_use]
    pub fn and_path(mut self, pattern: impl Into<String>) -> Self {
        self.path = Some(pattern.into());
        self
    }

    /// Whether a call is meant.
    pub fn matches(&self, call: &Call) -> bool {
        let part = |pattern: &Option<String>, text: &str| {
            pattern.as_deref().is_none_or(|pattern| glob(pattern, text))
        };
        part(&self.method, &call.method)
            && part(&self.path, &call.path)
            && part(&self.operation, &call.operation)
    }
}

/// A fault, the calls that it meets, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is given to `Faults::add`"]
pub struct Rule {
    fault: Fault,
    matcher: Matcher,
    skip: u32,
    limit: Option<u32>,
}

impl Rule {
    /// At most this many times (default 1).
    pub fn times(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Every time.
    pub fn always(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Not for the first `skip` calls that match.
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// The faults of one stand-in. Clones share their rules.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    rules: Vec<Armed>,
    next_id: u64,
}

struct Armed {
    id: u64,
    rule: Rule,
    seen: u32,
    fired: watch::Sender<u32>,
}

impl Armed {
    /// Counts a call, and says whether the fault meets it.
    fn meets(&mut self, call: &Call) -> bool {
        if !self.rule.matcher.matches(call) {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.rule.skip {
            return false;
        }
        let fired = *self.fired.borrow();
        if self.rule.limit.is_some_and(|limit| fired >= limit) {
            return false;
        }
        self.fired.send_replace(fired + 1);
        true
    }
}

impl Faults {
    /// Adds a rule. It stays until it is used up, [removed](Handle::remove) or [cleared](Faults::clear).
    pub fn add(&self, rule: Rule) -> Handle {
        let mut script = self.script();
        let id = script.next_id;
        script.next_id += 1;
        let (fired, count) = watch::channel(0);
        script.rules.push(Armed {
            id,
            rule,
            seen: 0,
            fired,
        });
        Handle {
            faults: self.clone(),
            id,
            count,
        }
    }

    /// Shows a call to the rules: the fault that meets it, if any. Stand-ins ask this once per call; so can a stand-in
    /// of your own.
    pub fn next(&self, call: &Call) -> Option<Fault> {
        let mut script = self.script();
        let mut rules = script.rules.iter_mut();
        rules.find_map(|armed| armed.meets(call).then(|| armed.rule.fault.clone()))
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.script().rules.clear();
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // Every change under the lock is complete in itself, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.script();
        f.debug_struct("Faults")
            .field("rules", &script.rules.len())
            .finish()
    }
}

/// A rule that was added. Dropping it leaves the rule in force.
#[derive(Debug, Clone)]
pub struct Handle {
    faults: Faults,
    id: u64,
    count: watch::Receiver<u32>,
}

impl Handle {
    /// How often the rule has fired.
    pub fn fired(&self) -> u32 {
        *self.count.borrow()
    }

    /// Waits until the rule has fired at least this often. Returns early when the rule is removed or cleared: bound the
    /// wait with a time limit of your own where the call may never come.
    pub async fn wait_fired(&self, times: u32) {
        let mut count = self.count.clone();
        // An error means that the rule is gone: nothing more will come.
        let _ = count.wait_for(|fired| *fired >= times).await;
    }

    /// Removes the rule.
    pub fn remove(self) {
        self.faults
            .script()
            .rules
            .retain(|armed| armed.id != self.id);
    }
}

/// Whether a text matches a pattern in which `*` stands for any text, the empty one included.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = tail.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The leftmost place is as good as any other: what follows is only more text to match in.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Call {
        Call::new("GET", path, "get")
    }

    #[test]
    fn glob_matches_whole_texts() {
        for (pattern, text, expected) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("*", "", true),
            ("/a/*", "/a/b/c", true),
            ("*/b", "/a/b", true),
            ("/a*b*c", "/a-b-b-c", true),
            ("/a*b*c", "/a-c", false),
            ("a*a", "a", false),
            ("*a*", "bab", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn the_first_rule_with_a_firing_left_decides() {
        let faults = Faults::default();
        faults.add(Fault::Refuse.on(Matcher::path("/x")));
        faults.add(Fault::Gone.on(Matcher::any()).times(2));
        let seen: Vec<_> = (0..4).map(|_| faults.next(&get("/x"))).collect();
        assert_eq!(
            seen,
            [
                Some(Fault::Refuse),
                Some(Fault::Gone),
                Some(Fault::Gone),
                None
            ]
        );
    }

    #[test]
    fn after_skips_the_first_matching_calls() {
        let faults = Faults::default();
        let rule = faults.add(Fault::Crash.on(Matcher::operation("get")).after(2));
        let calls = [
            get("/1"),
            Call::new("PUT", "/", "put"),
            get("/2"),
            get("/3"),
        ];
        let met: Vec<_> = calls
            .iter()
            .map(|call| faults.next(call).is_some())
            .collect();
        assert_eq!(met, [false, false, false, true]);
        assert_eq!(rule.fired(), 1);
    }

    #[test]
    fn a_removed_rule_fires_no_more() {
        let faults = Faults::default();
        let rule = faults.add(Fault::status(500).on(Matcher::any()).always());
        assert!(faults.next(&get("/")).is_some());
        rule.remove();
        assert!(faults.next(&get("/")).is_none());
    }

    #[tokio::test]
    async fn waiting_sees_firings_and_ends_when_the_rule_is_cleared() {
        let faults = Faults::default();
        let rule = faults.add(Fault::Refuse.on(Matcher::any()));
        let waiting = tokio::spawn({
            let rule = rule.clone();
            async move { rule.wait_fired(1).await }
        });
        faults.next(&get("/"));
        waiting.await.unwrap();
        faults.clear();
        rule.wait_fired(5).await;
        assert_eq!(rule.fired(), 1);
    }

    #[test]
    fn headers_and_bodies_belong_to_statuses() {
        let fault = Fault::too_many_requests(7).body("slow down");
        assert_eq!(
            fault,
            Fault::Status {
                code: 429,
                headers: vec![("Retry-After".into(), "7".into())],
                body: Some("slow down".into()),
            }
        );
        assert_eq!(Fault::Refuse.header("a", "b"), Fault::Refuse);
    }
}
