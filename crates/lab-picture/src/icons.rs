//! The signs: our own, simple ones, in the colours of AWS's families. AWS's icons are not used; their terms forbid changes.

use crate::colours::{COMPUTE, MESSAGES, NETWORK, PLAIN, PRIVATE_SIGN, PUBLIC_SIGN, STORAGE, ZONE_SIGN};

/// A sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Icon {
    /// A host.
    Host,
    /// A function.
    Function,
    /// A bucket.
    Bucket,
    /// A queue.
    Queue,
    /// An internet gateway.
    Gateway,
    /// A NAT gateway.
    Nat,
    /// A VPN endpoint.
    Vpn,
    /// A VPC.
    Vpc,
    /// A Region.
    Region,
    /// An Availability Zone.
    Zone,
    /// A subnet behind the internet gateway.
    Public,
    /// Any other subnet.
    Private,
    /// The internet.
    Internet,
    /// The user's machine.
    Laptop,
    /// Anything else.
    Other,
}

impl Icon {
    /// Every sign.
    pub(crate) const ALL: [Self; 15] = [
        Self::Host,
        Self::Function,
        Self::Bucket,
        Self::Queue,
        Self::Gateway,
        Self::Nat,
        Self::Vpn,
        Self::Vpc,
        Self::Region,
        Self::Zone,
        Self::Public,
        Self::Private,
        Self::Internet,
        Self::Laptop,
        Self::Other,
    ];

    /// What AWS calls it; nothing for what says so by itself.
    pub(crate) const fn service(self) -> Option<&'static str> {
        match self {
            Self::Host => Some("EC2 instance"),
            Self::Function => Some("AWS Lambda function"),
            Self::Bucket => Some("Amazon S3 bucket"),
            Self::Queue => Some("Amazon SQS queue"),
            Self::Gateway => Some("Internet gateway"),
            Self::Nat => Some("NAT gateway"),
            Self::Vpn => Some("Client VPN endpoint"),
            Self::Vpc => Some("VPC"),
            Self::Public => Some("Public subnet"),
            Self::Private => Some("Private subnet"),
            Self::Region | Self::Zone | Self::Internet | Self::Laptop | Self::Other => None,
        }
    }

    /// Its id in the picture.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Host => "lp-i-host",
            Self::Function => "lp-i-function",
            Self::Bucket => "lp-i-bucket",
            Self::Queue => "lp-i-queue",
            Self::Gateway => "lp-i-gateway",
            Self::Nat => "lp-i-nat",
            Self::Vpn => "lp-i-vpn",
            Self::Vpc => "lp-i-vpc",
            Self::Region => "lp-i-region",
            Self::Zone => "lp-i-zone",
            Self::Public => "lp-i-public",
            Self::Private => "lp-i-private",
            Self::Internet => "lp-i-internet",
            Self::Laptop => "lp-i-laptop",
            Self::Other => "lp-i-other",
        }
    }

    /// What stands behind it.
    pub(crate) const fn ground(self) -> &'static str {
        match self {
            Self::Host | Self::Function => COMPUTE,
            Self::Bucket => STORAGE,
            Self::Queue => MESSAGES,
            Self::Gateway | Self::Nat | Self::Vpn | Self::Vpc => NETWORK,
            Self::Region | Self::Private => PRIVATE_SIGN,
            Self::Zone => ZONE_SIGN,
            Self::Public => PUBLIC_SIGN,
            Self::Internet | Self::Laptop | Self::Other => PLAIN,
        }
    }

    /// Its lines, white, in a square of 24 by 24.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            // A chip with its legs.
            Self::Host => "M7 7h10v10H7zM10 7V4M14 7V4M10 20v-3M14 20v-3M7 10H4M7 14H4M20 10h-3M20 14h-3",
            // A lambda.
            Self::Function => "M6 5h3.5l7 14H19M11 9.5 6 19",
            Self::Bucket => "M5 6.5 7 19c.2 1 9.800 1 10 0l2-12.500M5 6.500C5 4.300 19 4.300 19 6.500S5 8.700 5 6.500z",
            Self::Queue => "M4 7h4v10H4zM10 7h4v10h-4zM16 7h4v10h-4z",
            // A door in a wall.
            Self::Gateway => "M4 20h16M7 20V9a5 5 0 0 1 10 0v11M12 20v-8M9.500 14.500 12 12l2.500 2.500",
            Self::Nat => "M4 5v14M20 5v14M7 9.500h9M13.500 7 16 9.500 13.500 12M17 15H8M10.500 12.500 8 15l2.500 2.500",
            // A lock.
            Self::Vpn => "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3M12 14.500v2",
            Self::Vpc => "M7 18a4 4 0 0 1-.5-8A5.500 5.500 0 0 1 17 9a4.500 4.500 0 0 1 0 9z",
            Self::Region => "M5 20V4M5 5h13l-3 4 3 4H5",
            Self::Zone => "M5 5h14v14H5zM5 12h14M12 5v14",
            Self::Public => "M7 11h10v8H7zM9 11V8a3 3 0 0 1 6-.5",
            Self::Private => "M7 11h10v8H7zM9 11V8a3 3 0 0 1 6 0v3",
            Self::Internet => {
                "M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0zM4 12h16M12 4c-5 4.500-5 11.500 0 16M12 4c5 4.500 5 11.500 0 16"
            }
            Self::Laptop => "M6 6h12v9H6zM3 18h18",
            Self::Other => "M6 6h12v12H6zM9 10h6M9 14h6",
        }
    }
}
