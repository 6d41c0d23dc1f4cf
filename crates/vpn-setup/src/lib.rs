//! The lab's Client VPN: PKI, server certificate, endpoint, and a ready-to-import `.ovpn` file per person.
