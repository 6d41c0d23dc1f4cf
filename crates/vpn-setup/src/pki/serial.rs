//! Serial numbers of certificates.

use std::fmt::{self, Write as _};

/// A certificate's serial number: a positive integer of at most 20 octets (RFC 5280, 4.1.2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Serial(Vec<u8>);

impl Serial {
    /// A random one of 16 octets. Of a version 4 UUID's 122 random bits two are given up here: the number is positive,
    /// and its first octet is not zero.
    pub(crate) fn random() -> Self {
        let mut octets = uuid::Uuid::new_v4().into_bytes();
        octets[0] = octets[0] & 0x7f | 0x40;
        Self(octets.to_vec())
    }

    /// From an integer's big-endian octets, with or without zeros in front.
    pub(crate) fn from_octets(octets: &[u8]) -> Self {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        Self(octets[zeros.min(octets.len().saturating_sub(1))..].to_vec())
    }

    /// From hexadecimal digits, as `openssl` and easy-rsa's `index.txt` write it. `None` when they are none.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let even = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
        if even.is_empty() || !even.is_ascii() {
            return None;
        }
        let octets: Result<Vec<u8>, _> =
            (0..even.len()).step_by(2).map(|at| u8::from_str_radix(&even[at..at + 2], 16)).collect();
        Some(Self::from_octets(&octets.ok()?))
    }

    /// Its big-endian octets.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// Upper-case hexadecimal digits, two an octet, as `openssl x509 -serial` prints it.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.iter().fold(String::new(), |mut digits, octet| {
            let _ = write!(digits, "{octet:02X}");
            digits
        });
        f.pad(&digits)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl serde::Serialize for Serial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
