//! The DNS of the endpoints: `ANYTHING.cvpn-endpoint-….prod.clientvpn.REGION.amazonaws.com` is the server's address. As
//! on AWS, the name without a label in front has no address.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

use super::{CLOUD_ADDRESS, enter};
use crate::sim::lock;

/// Domains of endpoints with their servers' addresses.
pub(crate) type Names = Arc<Mutex<HashMap<String, Ipv4Addr>>>;

/// Seconds for which an answer may be kept.
const TIME_TO_LIVE: u32 = 1;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;

/// The flags of an answer: it is one, from the domain's own server, and recursion is offered as stub resolvers expect.
const ANSWER_FLAGS: u16 = 0x8480;
const NAME_ERROR: u16 = 3;

/// Listens where the laptop asks.
pub(crate) fn listen(cloud: &str) -> io::Result<UdpSocket> {
    let socket = enter(cloud, || {
        let socket = std::net::UdpSocket::bind((CLOUD_ADDRESS, 53))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    })?;
    UdpSocket::from_std(socket)
}

/// Answers until the task is dropped.
pub(crate) async fn serve(socket: UdpSocket, names: Names) {
    let mut packet = [0; 1500];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut packet).await else { continue };
        let answer = write_answer(&packet[..length], |name| find_address(&lock(&names), name));
        if let Some(answer) = answer {
            // A resolver that hears nothing asks again.
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

/// What a name has: nothing known at all, or maybe an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    NoAddress,
    Address(Ipv4Addr),
}

fn find_address(names: &HashMap<String, Ipv4Addr>, name: &str) -> Found {
    let name = name.to_ascii_lowercase();
    if names.contains_key(&name) {
        return Found::NoAddress;
    }
    match name.split_once('.').and_then(|(_, domain)| names.get(domain)) {
        Some(address) => Found::Address(*address),
        None => Found::Nothing,
    }
}

/// The answer to a query of one question; `None` for what is no such query (RFC 1035, section 4).
fn write_answer(query: &[u8], find: impl Fn(&str) -> Found) -> Option<Vec<u8>> {
    let flags = read_u16(query, 2)?;
    let is_query = flags & 0xf800 == 0;
    if !is_query || read_u16(query, 4)? != 1 {
        return None;
    }
    let (name, end) = read_name(query)?;
    let (kind, class) = (read_u16(query, end)?, read_u16(query, end + 2)?);
    let found = find(&name);
    let address = match found {
        Found::Address(address) if kind == TYPE_A && class == CLASS_IN => Some(address),
        _ => None,
    };
    let recursion_desired = flags & 0x0100;
    let code = if found == Found::Nothing { NAME_ERROR } else { 0 };
    let mut answer = query.get(..2)?.to_vec();
    answer.extend((ANSWER_FLAGS | recursion_desired | code).to_be_bytes());
    for count in [1, u16::from(address.is_some()), 0, 0] {
        answer.extend(count.to_be_bytes());
    }
    answer.extend(query.get(HEADER..end + 4)?);
    if let Some(address) = address {
        // The name is the question's: a pointer to where that begins.
        answer.extend([0xc0, 12]);
        answer.extend(TYPE_A.to_be_bytes());
        answer.extend(CLASS_IN.to_be_bytes());
        answer.extend(TIME_TO_LIVE.to_be_bytes());
        answer.extend(4_u16.to_be_bytes());
        answer.extend(address.octets());
    }
    Some(answer)
}

fn read_u16(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
}

/// The question's name, and where it ends.
fn read_name(packet: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            1..=63 => labels.push(std::str::from_utf8(packet.get(at..at + length)?).ok()?.to_owned()),
            _ => return None,
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(u8::try_from(label.len()).expect("a short label"));
            packet.extend(label.as_bytes());
        }
        packet.push(0);
        packet.extend(kind.to_be_bytes());
        packet.extend(CLASS_IN.to_be_bytes());
        packet
    }

    fn ask(name: &str, kind: u16) -> (u16, Option<[u8; 4]>) {
        let names = HashMap::from([("cvpn-endpoint-1.prod.example".to_owned(), Ipv4Addr::new(192, 0, 2, 10))]);
        let answer = write_answer(&query(name, kind), |name| find_address(&names, name)).expect("an answer");
        assert_eq!(&answer[..2], [0xab, 0xcd], "the query's id");
        let code = read_u16(&answer, 2).expect("flags") & 0xf;
        let has_address = read_u16(&answer, 6) == Some(1);
        (code, has_address.then(|| answer[answer.len() - 4..].try_into().expect("four bytes")))
    }

    #[test]
    fn a_random_label_in_front_leads_to_the_server_and_nothing_else_does() {
        assert_eq!(ask("q7x.cvpn-endpoint-1.prod.example", TYPE_A), (0, Some([192, 0, 2, 10])));
        assert_eq!(ask("Q7X.CVPN-endpoint-1.prod.example", TYPE_A), (0, Some([192, 0, 2, 10])));
        assert_eq!(ask("q7x.cvpn-endpoint-1.prod.example", 28), (0, None), "no IPv6 address");
        assert_eq!(ask("cvpn-endpoint-1.prod.example", TYPE_A), (0, None), "it needs a label");
        assert_eq!(ask("a.b.cvpn-endpoint-1.prod.example", TYPE_A), (NAME_ERROR, None));
        assert_eq!(ask("example", TYPE_A), (NAME_ERROR, None));
    }

    proptest! {
        #[test]
        fn no_packet_is_too_odd(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = write_answer(&packet, |_| Found::Nothing);
        }
    }
}
