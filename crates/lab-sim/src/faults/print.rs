//! What makes two calls the same one: a program that repeats a call says the same again, but for what is drawn anew.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::call::Call;

/// Hexadecimal digits, hyphens among them, from which on a run counts as drawn anew: a UUID has 36, a hash more.
const DRAWN: usize = 32;

/// Bytes of a body that are looked at: two calls of one program do not differ only behind them.
const LOOKED_AT: usize = 64 * 1024;

/// A print of what the call asks for: service, action, method, path and parameters. A repetition has the same print,
/// by whichever program, also with another client token, attempt tag or signature.
pub(crate) fn print_call(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&call.class.service, &call.class.action, call.method.as_str(), call.uri.path()).hash(&mut hasher);
    hash_steady(call.uri.query().unwrap_or_default().as_bytes(), &mut hasher);
    hash_steady(&call.body[..call.body.len().min(LOOKED_AT)], &mut hasher);
    hasher.finish()
}

/// Hashes all of `bytes` but what is drawn anew.
fn hash_steady(bytes: &[u8], hasher: &mut DefaultHasher) {
    let is_drawn = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    // Each part holds one byte that is not drawn, or is the rest.
    for part in bytes.split_inclusive(|byte| !is_drawn(byte)) {
        let run = part.iter().take_while(|byte| is_drawn(byte)).count();
        let steady = if run >= DRAWN { &part[run..] } else { part };
        hasher.write(steady);
        hasher.write_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hash_steady(text.as_bytes(), &mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_repetition_with_another_token_is_the_same_call_and_other_parameters_are_not() {
        let vpc =
            |attempt: &str| format!("Action=CreateVpc&CidrBlock=10.0.0.0%2F16&Tag.1.Value={attempt}&Tag.2.Value=a");
        let one = print(&vpc("0f8fad5b-d9cb-469f-a165-70867728950e"));
        assert_eq!(one, print(&vpc("7c9e6679-7425-40de-944b-e07fc1f90ae7")));
        assert_ne!(one, print(&vpc("vpc-0123456789abcdef0")), "an id is not drawn anew");
        assert_ne!(print("VpcId=vpc-1"), print("VpcId=vpc-2"));
    }
}
