//! Describes how a container's process ended.

use crate::state::Terminated;

/// `exit code 3`, `exit code 139 (SIGSEGV: invalid memory access)`.
pub(super) fn describe(terminated: &Terminated) -> String {
    let code = terminated.exit_code;
    let signal = terminated.signal.filter(|signal| *signal > 0).or({
        // Shells and runtimes report signal n as 128 + n.
        match code {
            129..=192 => Some(code - 128),
            _ => None,
        }
    });
    match signal.map(|signal| (signal, name(signal))) {
        Some((_, Some((name, meaning)))) => format!("exit code {code} ({name}: {meaning})"),
        Some((signal, None)) => format!("exit code {code} (signal {signal})"),
        None => format!("exit code {code}"),
    }
}

/// Linux signals on x86-64 and arm64 that terminate a process by default.
fn name(signal: i32) -> Option<(&'static str, &'static str)> {
    let named = match signal {
        1 => ("SIGHUP", "hang-up"),
        2 => ("SIGINT", "interrupted"),
        3 => ("SIGQUIT", "quit"),
        4 => ("SIGILL", "illegal instruction"),
        5 => ("SIGTRAP", "trap"),
        6 => ("SIGABRT", "aborted"),
        7 => ("SIGBUS", "bad memory access"),
        8 => ("SIGFPE", "arithmetic error"),
        9 => ("SIGKILL", "killed"),
        10 => ("SIGUSR1", "user signal"),
        11 => ("SIGSEGV", "invalid memory access"),
        12 => ("SIGUSR2", "user signal"),
        13 => ("SIGPIPE", "wrote to a closed pipe"),
        14 => ("SIGALRM", "timer"),
        15 => ("SIGTERM", "terminated"),
        24 => ("SIGXCPU", "CPU time limit"),
        25 => ("SIGXFSZ", "file size limit"),
        31 => ("SIGSYS", "forbidden system call"),
        _ => return None,
    };
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named() {
        let describe = |exit_code, signal| {
            describe(&Terminated {
                exit_code,
                signal,
                ..Terminated::default()
            })
        };
        assert_eq!(describe(3, None), "exit code 3");
        assert_eq!(
            describe(139, None),
            "exit code 139 (SIGSEGV: invalid memory access)"
        );
        assert_eq!(describe(0, Some(9)), "exit code 0 (SIGKILL: killed)");
        assert_eq!(describe(128 + 40, None), "exit code 168 (signal 40)");
        assert_eq!(describe(255, None), "exit code 255");
    }
}
