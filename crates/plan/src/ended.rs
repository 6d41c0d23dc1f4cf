//! How a command has ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// The exit code of a command; 128 + N when signal N ended it, as a shell says it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_counts_from_128_on() {
        // As wait(2) has it: the code in the second byte, a signal in the first.
        assert_eq!([0, 3 << 8, 15].map(|raw| exit_code(ExitStatus::from_raw(raw))), [0, 3, 143]);
    }
}
