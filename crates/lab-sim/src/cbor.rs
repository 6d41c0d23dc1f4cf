//! CBOR (RFC 8949) as far as AWS's RPC protocol uses it, to and from JSON values. Times are numbers of seconds in JSON and
//! carry tag 1 in CBOR. Pure.

use serde_json::{Map, Number, Value};

/// Bytes inside of bytes inside of bytes: no request of AWS's is deeper.
const MAX_DEPTH: u32 = 64;

/// Reads one value. `None` when `bytes` are not one, whole.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { bytes, depth: 0 };
    let value = reader.value()?;
    reader.bytes.is_empty().then_some(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    depth: u32,
}

/// What follows the first byte of a value.
enum Length {
    Known(u64),
    /// Until a byte that breaks it off.
    Open,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(head)
    }

    fn number(&mut self, count: usize) -> Option<u64> {
        Some(self.take(count)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, low: u8) -> Option<Length> {
        let length = match low {
            0..=23 => u64::from(low),
            24 => self.number(1)?,
            25 => self.number(2)?,
            26 => self.number(4)?,
            27 => self.number(8)?,
            31 => return Some(Length::Open),
            _ => return None,
        };
        Some(Length::Known(length))
    }

    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > MAX_DEPTH { None } else { self.shallow_value() };
        self.depth -= 1;
        value
    }

    fn shallow_value(&mut self) -> Option<Value> {
        let first = *self.take(1)?.first()?;
        let (major, low) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.simple(low);
        }
        let length = self.length(low)?;
        match (major, length) {
            (0, Length::Known(number)) => Some(Value::from(number)),
            (1, Length::Known(number)) => Some(Value::from(-1 - i64::try_from(number).ok()?)),
            (2 | 3, length) => Some(Value::from(String::from_utf8(self.string(major, &length)?).ok()?)),
            (4, length) => self.list(&length),
            (5, length) => self.map(&length),
            (6, Length::Known(_)) => self.value(),
            _ => None,
        }
    }

    fn simple(&mut self, low: u8) -> Option<Value> {
        match low {
            20 | 21 => Some(Value::Bool(low == 21)),
            22 | 23 => Some(Value::Null),
            26 => float(f64::from(f32::from_bits(u32::try_from(self.number(4)?).ok()?))),
            27 => float(f64::from_bits(self.number(8)?)),
            _ => None,
        }
    }

    /// Whether an open list, map or string ends here.
    fn breaks_off(&mut self) -> bool {
        let ends = self.bytes.first() == Some(&0xff);
        if ends {
            self.bytes = &self.bytes[1..];
        }
        ends
    }

    fn string(&mut self, major: u8, length: &Length) -> Option<Vec<u8>> {
        if let Length::Known(length) = length {
            return Some(self.take(usize::try_from(*length).ok()?)?.to_vec());
        }
        let mut whole = Vec::new();
        while !self.breaks_off() {
            let first = *self.take(1)?.first()?;
            match (first >> 5 == major, self.length(first & 0x1f)?) {
                (true, length @ Length::Known(_)) => whole.extend(self.string(major, &length)?),
                _ => return None,
            }
        }
        Some(whole)
    }

    fn list(&mut self, length: &Length) -> Option<Value> {
        let mut items = Vec::new();
        while self.goes_on(length, items.len()) {
            items.push(self.value()?);
        }
        Some(Value::Array(items))
    }

    fn map(&mut self, length: &Length) -> Option<Value> {
        let mut fields = Map::new();
        let mut count = 0;
        while self.goes_on(length, count) {
            let Value::String(name) = self.value()? else { return None };
            fields.insert(name, self.value()?);
            count += 1;
        }
        Some(Value::Object(fields))
    }

    fn goes_on(&mut self, length: &Length, count: usize) -> bool {
        match length {
            Length::Known(length) => (count as u64) < *length,
            Length::Open => !self.breaks_off(),
        }
    }
}

fn float(number: f64) -> Option<Value> {
    Number::from_f64(number).map(Value::Number)
}

/// How a field's numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As they are in JSON.
    Plain,
    /// Also a whole number is a float.
    Float,
    /// Seconds since 1970.
    Time,
}

/// Writes a value; `kind_of` says how the numbers under a field's name are written.
pub(crate) fn encode(value: &Value, kind_of: fn(&str) -> Kind) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, Kind::Plain, kind_of, &mut bytes);
    bytes
}

fn write_head(major: u8, number: u64, bytes: &mut Vec<u8>) {
    let major = major << 5;
    match number {
        0..=23 => bytes.push(major | number.to_le_bytes()[0]),
        24..=0xff => bytes.extend([major | 0x18, number.to_le_bytes()[0]]),
        _ => {
            bytes.push(major | 0x1b);
            bytes.extend(number.to_be_bytes());
        }
    }
}

fn write(value: &Value, kind: Kind, kind_of: fn(&str) -> Kind, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(0xf6),
        Value::Bool(truth) => bytes.push(if *truth { 0xf5 } else { 0xf4 }),
        Value::Number(number) => write_number(number, kind, bytes),
        Value::String(text) => {
            write_head(3, text.len() as u64, bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Array(items) => {
            write_head(4, items.len() as u64, bytes);
            for item in items {
                write(item, kind, kind_of, bytes);
            }
        }
        Value::Object(fields) => {
            write_head(5, fields.len() as u64, bytes);
            for (name, value) in fields {
                write_head(3, name.len() as u64, bytes);
                bytes.extend(name.as_bytes());
                write(value, kind_of(name), kind_of, bytes);
            }
        }
    }
}

fn write_number(number: &Number, kind: Kind, bytes: &mut Vec<u8>) {
    if kind == Kind::Time {
        write_head(6, 1, bytes);
    }
    match (kind, number.as_u64(), number.as_i64()) {
        (Kind::Plain, Some(number), _) => write_head(0, number, bytes),
        (Kind::Plain, None, Some(number)) => write_head(1, number.unsigned_abs() - 1, bytes),
        _ => {
            bytes.push(0xfb);
            bytes.extend(number.as_f64().unwrap_or_default().to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn kind_of(name: &str) -> Kind {
        match name {
            "Timestamps" => Kind::Time,
            "Values" => Kind::Float,
            _ => Kind::Plain,
        }
    }

    #[test]
    fn open_maps_floats_and_times_are_read() {
        // {_ "a": [_ 1, -2], "t": 1(1.5), "s": (_ "x", "y")}
        let mut bytes = vec![0xbf, 0x61, b'a', 0x9f, 1, 0x21, 0xff, 0x61, b't', 0xc1, 0xfb];
        bytes.extend(1.5f64.to_be_bytes());
        bytes.extend([0x61, b's', 0x7f, 0x61, b'x', 0x61, b'y', 0xff, 0xff]);
        assert_eq!(decode(&bytes), Some(json!({ "a": [1, -2], "t": 1.5, "s": "xy" })));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&[0x81; 100]), None, "too deep");
        assert_eq!(decode(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None, "too long");
    }

    #[test]
    fn times_and_floats_are_written_as_their_names_say() {
        assert_eq!(encode(&json!({ "Values": [1] }), kind_of)[9..], [0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode(&json!({ "Timestamps": [1] }), kind_of)[13..15], [0xc1, 0xfb]);
        assert_eq!(encode(&json!({ "n": [24, -1] }), kind_of)[3..], [0x82, 0x18, 24, 0x20]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "\\PC{0,40}", whole in any::<i64>(), number in -1e9f64..1e9, truth in any::<bool>()) {
            let value = json!({ "text": text, "list": [whole, number, truth, null], "Values": [number] });
            prop_assert_eq!(decode(&encode(&value, kind_of)), Some(value));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
