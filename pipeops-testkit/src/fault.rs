//! Scripted faults: which calls fail, how, and how often.
//!
//! Every stand-in has one [`Faults`] (`stand_in.faults()`), to which a test adds rules. The stand-in compares each call with
//! the rules in the order in which they were added; the first rule that matches and isn't used up decides. The same calls in
//! the same order always get the same faults.
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

/// A scripted fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Closes the connection without a response. (After a [crash](Fault::Crash), the operating system refuses new
    /// connections.)
    Refuse,
    /// Delays the response.
    Delay(Duration),
    /// Closes the connection after this many bytes of the response's body. A watch or another stream ends after the first
    /// message that crosses the limit.
    Cut {
        /// Bytes of the body that are sent.
        after_bytes: usize,
    },
    /// Responds with this status. Stand-ins that speak gRPC respond with the corresponding code.
    Status {
        /// The HTTP status code.
        code: u16,
        /// Headers of the response.
        headers: Vec<(String, String)>,
        /// The body. `None`: the error body that the stand-in has for this status.
        body: Option<String>,
    },
    /// 410 Gone: the resource version or upload session that the client refers to no longer exists.
    Gone,
    /// Rejects credentials as expired, with the body that the server has for this case.
    Expired {
        /// 401 or 403.
        code: u16,
    },
    /// Crashes the server: closes all connections and refuses new ones until the stand-in is restarted.
    Crash,
}

impl Fault {
    /// A status, such as 503, without extra headers and with the stand-in's error body.
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

    /// 401 for expired credentials.
    pub fn unauthorized() -> Self {
        Self::Expired { code: 401 }
    }

    /// 403, which some servers send for expired credentials.
    pub fn forbidden() -> Self {
        Self::Expired { code: 403 }
    }

    /// Adds a header to a [`Fault::Status`]. Has no effect on other faults.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets the body of a [`Fault::Status`]. Has no effect on other faults.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        if let Self::Status { body, .. } = &mut self {
            *body = Some(text.into());
        }
        self
    }

    /// A rule that applies this fault to the first matching call. [`Rule::times`] and [`Rule::always`] apply it more often.
    pub fn on(self, matcher: Matcher) -> Rule {
        Rule {
            fault: self,
            matcher,
            skip: 0,
            limit: Some(1),
        }
    }
}

/// One call to a stand-in, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The name of the operation. Each stand-in's documentation lists its operations.
    pub operation: String,
}

impl Call {
    /// Creates a call.
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

/// Which calls a rule applies to. A part that isn't set matches every call; `*` in a pattern matches any text.
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

    /// Calls whose path, including the query, matches this pattern.
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

    /// Whether this call matches.
    pub fn matches(&self, call: &Call) -> bool {
        let part = |pattern: &Option<String>, text: &str| {
            pattern.as_deref().is_none_or(|pattern| glob(pattern, text))
        };
        part(&self.method, &call.method)
            && part(&self.path, &call.path)
            && part(&self.operation, &call.operation)
    }
}

/// A fault, the calls that it applies to, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is given to `Faults::add`"]
pub struct Rule {
    fault: Fault,
    matcher: Matcher,
    skip: u32,
    limit: Option<u32>,
}

impl Rule {
    /// Fires at most this many times. Default: 1.
    pub fn times(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Fires for every matching call.
    pub fn always(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Skips the first `skip` matching calls. Default: 0.
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
    /// Counts a call and returns whether the fault applies to it.
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
    /// Adds a rule. It's in force until it's used up, [removed](Handle::remove) or [cleared](Faults::clear).
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

    /// The fault for this call, if a rule applies. Stand-ins call this once per request; your own stand-in can, too.
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
        // Every change under the lock is complete, so a panic elsewhere leaves nothing half done.
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

/// A rule that was added. The rule stays in force when this handle is dropped.
///
/// ```
/// use pipeops_testkit::fault::{Call, Fault, Faults, Matcher};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let faults = Faults::default();
/// let down = faults.add(Fault::status(503).on(Matcher::any()).always());
/// faults.next(&Call::new("GET", "/v2/", "ping"));
/// down.wait_fired(1).await;
/// down.remove(); // the server recovers
/// assert!(faults.next(&Call::new("GET", "/v2/", "ping")).is_none());
/// # }
/// ```
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

    /// Waits until the rule has fired this many times, or is removed or cleared. There is no time limit.
    pub async fn wait_fired(&self, times: u32) {
        let mut count = self.count.clone();
        // An error means that the rule was removed.
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

/// Whether a text matches a pattern in which `*` matches any text, including the empty one.
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
        // The leftmost match leaves the most text for the parts that follow.
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
