//! Client tokens: what makes a creating call safe to repeat.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The token of a creating call: the same for the same parts and `n`, from whichever machine.
///
/// EC2 answers a repeated token with the first answer, also when what it made is gone. `n` counts from 0 and goes up
/// by one each time a token turns out to be used up that way.
///
/// 64 ASCII characters, EC2's limit for a token.
pub fn client_token(parts: &[&str], n: u32) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update(n.to_be_bytes());
    hash.finalize().iter().fold(String::with_capacity(64), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stable_fits_and_differs_by_every_part() {
        let token = client_token(&["1", "lab", "instance public"], 0);
        assert_eq!(token, client_token(&["1", "lab", "instance public"], 0));
        assert_eq!(token.len(), 64);
        for other in [
            client_token(&["1", "lab", "instance public"], 1),
            client_token(&["2", "lab", "instance public"], 0),
            client_token(&["1", "la", "binstance public"], 0),
        ] {
            assert_ne!(token, other);
        }
    }
}
