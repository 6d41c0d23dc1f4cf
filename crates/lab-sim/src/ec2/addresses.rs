//! Public addresses: moto invents some that belong to strangers. They are shown as addresses of 203.0.113.0/24 (TEST-NET-3,
//! RFC 5737), the same one wherever it occurs, and understood as such in requests.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::call::Call;
use crate::form::Form;
use crate::xml::Element;

/// Which address is shown for which of moto's.
#[derive(Debug)]
pub(crate) struct AddressMap {
    shown: HashMap<String, Ipv4Addr>,
    next: u8,
    reserved: Ipv4Addr,
}

impl AddressMap {
    /// `reserved` is never given away: it is the command's own.
    pub(crate) fn new(reserved: Ipv4Addr) -> Self {
        Self { shown: HashMap::new(), next: 1, reserved }
    }

    /// The address that stands for `moto`. With all 254 in use, the oldest number is given again.
    fn show(&mut self, moto: &str) -> Ipv4Addr {
        if let Some(shown) = self.shown.get(moto) {
            return *shown;
        }
        let mut address = self.take_next();
        if address == self.reserved {
            address = self.take_next();
        }
        self.shown.retain(|_, shown| *shown != address);
        self.shown.insert(moto.to_owned(), address);
        address
    }

    fn take_next(&mut self) -> Ipv4Addr {
        let address = Ipv4Addr::new(203, 0, 113, self.next);
        self.next = if self.next == 254 { 1 } else { self.next + 1 };
        address
    }

    /// moto's address for one that is shown.
    fn find_moto(&self, shown: &str) -> Option<&str> {
        let shown: Ipv4Addr = shown.parse().ok()?;
        self.shown.iter().find(|(_, address)| **address == shown).map(|(moto, _)| moto.as_str())
    }

    /// A request in moto's addresses; `None` when it names none that is shown.
    pub(crate) fn restore(&self, call: &Call) -> Option<Call> {
        let mut changed = false;
        let form: Form = call
            .form
            .0
            .iter()
            .map(|(name, value)| match self.find_moto(value) {
                Some(moto) => {
                    changed = true;
                    (name.clone(), moto.to_owned())
                }
                None => (name.clone(), value.clone()),
            })
            .collect();
        changed.then(|| call.with_form(form))
    }

    /// Rewrites every public address in an answer, and the DNS names made from them.
    pub(crate) fn rewrite(&mut self, root: &mut Element, region: &str) {
        root.visit_mut(&mut |element| {
            // An instance calls its public address `ipAddress`; so does a customer gateway, whose address is real.
            let field = if element.child("instanceId").is_some() && element.child("ipAddress").is_some() {
                "ipAddress"
            } else {
                "publicIp"
            };
            let Some(moto) = element.child_text(field).filter(|text| text.parse::<Ipv4Addr>().is_ok()) else { return };
            if moto.starts_with("203.0.113.") {
                return;
            }
            let shown = self.show(&moto);
            element.set_child_text(field, &shown.to_string());
            for name in ["publicDnsName", "dnsName"] {
                if element.child_text(name).is_some_and(|dns| !dns.is_empty()) {
                    element.set_child_text(name, &public_dns_name(shown, region));
                }
            }
        });
    }
}

fn public_dns_name(address: Ipv4Addr, region: &str) -> String {
    let dashed = address.to_string().replace('.', "-");
    match region {
        "us-east-1" => format!("ec2-{dashed}.compute-1.amazonaws.com"),
        _ => format!("ec2-{dashed}.{region}.compute.amazonaws.com"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

    #[test]
    fn an_address_is_the_same_wherever_it_occurs() {
        let mut map = AddressMap::new(OWN);
        let source = b"<R><item><instanceId>i-1</instanceId><dnsName>ec2-54-1-2-3.compute-1.amazonaws.com</dnsName>\
                       <ipAddress>54.1.2.3</ipAddress><association><publicIp>54.1.2.3</publicIp></association></item>\
                       <customerGateway><ipAddress>54.1.2.3</ipAddress></customerGateway></R>";
        let mut root = Element::parse(source).expect("XML");
        map.rewrite(&mut root, "us-east-1");
        let item = root.child("item").expect("the item");
        assert_eq!(item.child_text("ipAddress").as_deref(), Some("203.0.113.1"));
        assert_eq!(item.child_text("dnsName").as_deref(), Some("ec2-203-0-113-1.compute-1.amazonaws.com"));
        assert_eq!(item.descend(&["association", "publicIp"]).map(Element::text).as_deref(), Some("203.0.113.1"));
        let gateway = root.child("customerGateway").and_then(|gateway| gateway.child_text("ipAddress"));
        assert_eq!(gateway.as_deref(), Some("54.1.2.3"));
        assert_eq!(map.find_moto("203.0.113.1"), Some("54.1.2.3"));
        assert_eq!(map.find_moto("203.0.113.9"), None);
    }

    proptest! {
        #[test]
        fn no_two_addresses_look_the_same_and_ours_is_not_given(count in 1usize..253) {
            let mut map = AddressMap::new(OWN);
            let shown: std::collections::HashSet<_> = (0..count).map(|n| map.show(&format!("54.0.{}.{}", n / 200, n % 200))).collect();
            prop_assert_eq!(shown.len(), count);
            prop_assert!(!shown.contains(&OWN));
        }
    }
}
