//! The client configuration that AWS exports. It holds no client certificate and no key: those are the user's. Pure.

use super::certificates::{find_common_name, trust_of};
use super::records::Endpoint;
use crate::acm::Bundle;

/// The configuration for clients of `endpoint`, whose server shows the certificate `server`.
pub(crate) fn write_configuration(endpoint: &Endpoint, server: &Bundle) -> String {
    let mut lines = vec![
        "client".to_owned(),
        "dev tun".to_owned(),
        format!("proto {}", endpoint.settings.transport.as_str()),
        format!("remote {} {}", endpoint.domain(), endpoint.settings.port),
        "remote-random-hostname".to_owned(),
        "resolv-retry infinite".to_owned(),
        "nobind".to_owned(),
        "remote-cert-tls server".to_owned(),
        "cipher AES-256-GCM".to_owned(),
        "verb 3".to_owned(),
        "<ca>".to_owned(),
        trust_of(server).trim_end().to_owned(),
        String::new(),
        "</ca>".to_owned(),
        String::new(),
        String::new(),
        "reneg-sec 0".to_owned(),
    ];
    if let Some(name) = find_common_name(&server.certificate) {
        lines.push(String::new());
        lines.push(format!("verify-x509-name {name} name"));
    }
    lines.join("\n") + "\n"
}
