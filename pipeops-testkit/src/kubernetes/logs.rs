//! Container logs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::request::Query;
use super::status::{ApiError, ApiResult};
use crate::serve::lock;

/// The output of all containers, by the pod's uid and the container's name.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    outputs: Mutex<BTreeMap<(String, String), Output>>,
}

/// The output of one container: of its present run and of the one before.
#[derive(Debug)]
struct Output {
    present: Vec<Line>,
    previous: Option<Vec<Line>>,
}

#[derive(Debug, Clone)]
struct Line {
    time: String,
    text: String,
}

impl Logs {
    /// A container starts: its output begins anew, that of the run before is kept.
    pub(crate) fn start(&self, uid: &str, container: &str, lines: &[String]) {
        let time = jiff::Timestamp::now().to_string();
        let fresh = lines.iter().map(|text| Line {
            time: time.clone(),
            text: text.clone(),
        });
        let mut all = lock(&self.outputs);
        let key = (uid.to_owned(), container.to_owned());
        let previous = all.remove(&key).map(|output| output.present);
        let present = fresh.collect();
        all.insert(key, Output { present, previous });
    }

    /// What a container has printed; none when it has not run yet, or not before where that is asked for.
    pub(crate) fn read(
        &self,
        uid: &str,
        container: &str,
        query: &Query,
    ) -> ApiResult<Option<String>> {
        let all = lock(&self.outputs);
        let Some(output) = all.get(&(uid.to_owned(), container.to_owned())) else {
            return Ok(None);
        };
        let lines = if query.flag("previous") {
            match &output.previous {
                Some(lines) => lines,
                None => return Ok(None),
            }
        } else {
            &output.present
        };
        let tail = query.number("tailLines")?.unwrap_or(u64::MAX);
        let skip = lines
            .len()
            .saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        let mut text = String::new();
        for line in &lines[skip..] {
            if query.flag("timestamps") {
                text += &line.time;
                text.push(' ');
            }
            text += &line.text;
            text.push('\n');
        }
        cut(&mut text, query)?;
        Ok(Some(text))
    }

    /// A pod is gone, and its output with it.
    pub(crate) fn forget(&self, uid: &str) {
        lock(&self.outputs).retain(|(of, _), _| of != uid);
    }
}

fn cut(text: &mut String, query: &Query) -> ApiResult<()> {
    let Some(limit) = query.number("limitBytes")? else {
        return Ok(());
    };
    if limit == 0 {
        return Err(ApiError::bad_request("limitBytes: must be greater than 0"));
    }
    let mut end = usize::try_from(limit).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_before_can_be_read() {
        let logs = Logs::default();
        let read = |query: &str| logs.read("u", "app", &Query::parse(query)).unwrap();
        assert_eq!(read(""), None);
        logs.start("u", "app", &["one".into(), "two".into()]);
        assert_eq!(read("previous=true"), None);
        logs.start("u", "app", &["three".into()]);
        assert_eq!(read("").as_deref(), Some("three\n"));
        assert_eq!(read("previous=true&tailLines=1").as_deref(), Some("two\n"));
        assert_eq!(read("limitBytes=2").as_deref(), Some("th"));
    }
}
