//! Commands, so that the process gets them as they are written.

use crate::app::App;

/// The words of a command in a container's fields. Kubernetes replaces `$(NAME)` and `$$` there, in commands, arguments and the
/// commands of probes, so each `$` that begins one of them is doubled.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/>
pub(super) fn words(app: &App, words: &[String]) -> Vec<String> {
    if app.expand_variables {
        return words.to_vec();
    }
    words.iter().map(|word| literal(word)).collect()
}

fn literal(word: &str) -> String {
    let mut literal = String::with_capacity(word.len());
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        literal.push(c);
        if c == '$' && matches!(chars.peek(), Some('$' | '(')) {
            literal.push(c);
        }
    }
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    /// What Kubernetes makes of a word where every variable has the value `V`:
    /// <https://github.com/kubernetes/kubernetes/blob/master/third_party/forked/golang/expansion/expand.go>
    fn expanded(word: &str) -> String {
        let mut out = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('$') {
                out.push('$');
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('(') {
                match behind.split_once(')') {
                    Some((_, behind)) => {
                        out.push('V');
                        rest = behind;
                    }
                    None => {
                        out.push_str("$(");
                        rest = behind;
                    }
                }
            } else {
                out.push('$');
            }
        }
        out + rest
    }

    #[test]
    fn a_command_reaches_the_process_as_it_is_written() {
        for (word, field) in [
            (
                "echo pid $$; exec ./serve 'pay $(PRICE) or $$5'",
                "echo pid $$$; exec ./serve 'pay $$(PRICE) or $$$5'",
            ),
            ("$HOME ${HOME} $", "$HOME ${HOME} $"),
            ("$$$", "$$$$$"),
            ("$$(date)", "$$$$(date)"),
            ("$(open", "$$(open"),
            ("costs 5$", "costs 5$"),
        ] {
            assert_eq!(literal(word), field);
            assert_eq!(expanded(field), word);
        }
        let mut app = fixtures::app();
        let written = ["echo $(HOME) $$".to_owned()];
        assert_eq!(words(&app, &written), ["echo $$(HOME) $$$"]);
        app.expand_variables = true;
        assert_eq!(words(&app, &written), written);
    }

    proptest! {
        #[test]
        fn kubernetes_gives_back_every_word(word in prop_oneof!["[$()a ]{0,12}", any::<String>()]) {
            prop_assert_eq!(expanded(&literal(&word)), word);
        }
    }
}
