//! The machine images that exist here, and the public SSM parameters that name them. moto's own catalogue has 1,300 images,
//! takes it more than a second to load in each Region, and has no Ubuntu that anyone still uses.

use serde_json::{Value, json};

/// An image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: &'static str,
    name: &'static str,
    description: &'static str,
    owner: &'static str,
    architecture: &'static str,
    root_device: &'static str,
    /// What [`find_image`] looks for: the system, as its parameter names it.
    system: &'static str,
}

/// The account that owns Amazon Linux's images.
const AMAZON: &str = "137112412989";

/// The account that owns Ubuntu's images.
const CANONICAL: &str = "099720109477";

const IMAGES: &[Image] = &[
    Image {
        id: "ami-0a1202300000086a4",
        name: "al2023-ami-2023.9.20260901.0-kernel-6.12-x86_64",
        description: "Amazon Linux 2023 AMI 2023.9.20260901.0 x86_64 HVM kernel-6.12",
        owner: AMAZON,
        architecture: "x86_64",
        root_device: "/dev/xvda",
        system: "al2023",
    },
    Image {
        id: "ami-0a12023000000a364",
        name: "al2023-ami-2023.9.20260901.0-kernel-6.12-arm64",
        description: "Amazon Linux 2023 AMI 2023.9.20260901.0 arm64 HVM kernel-6.12",
        owner: AMAZON,
        architecture: "arm64",
        root_device: "/dev/xvda",
        system: "al2023",
    },
    Image {
        id: "ami-0b240400000000864",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260901",
        description: "Canonical, Ubuntu, 24.04, amd64 noble image",
        owner: CANONICAL,
        architecture: "x86_64",
        root_device: "/dev/sda1",
        system: "24.04",
    },
    Image {
        id: "ami-0b240400000000a64",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260901",
        description: "Canonical, Ubuntu, 24.04, arm64 noble image",
        owner: CANONICAL,
        architecture: "arm64",
        root_device: "/dev/sda1",
        system: "24.04",
    },
    Image {
        id: "ami-0b220400000000864",
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260901",
        description: "Canonical, Ubuntu, 22.04 LTS, amd64 jammy image",
        owner: CANONICAL,
        architecture: "x86_64",
        root_device: "/dev/sda1",
        system: "22.04",
    },
];

/// The images in the form that moto reads from `MOTO_AMIS_PATH`.
pub(crate) fn moto_catalogue() -> Value {
    let entries = IMAGES.iter().map(|image| {
        json!({
            "ami_id": image.id,
            "name": image.name,
            "description": image.description,
            "owner_id": image.owner,
            "public": true,
            "virtualization_type": "hvm",
            "architecture": image.architecture,
            "state": "available",
            "platform": null,
            "image_type": "machine",
            "hypervisor": "xen",
            "root_device_name": image.root_device,
            "root_device_type": "ebs",
            "sriov": "simple",
            "creation_date": "2026-09-01T00:00:00.000Z",
        })
    });
    entries.collect()
}

/// The image that a public parameter names: Amazon Linux 2023's and Ubuntu's.
pub(crate) fn find_image(parameter: &str) -> Option<&'static Image> {
    let (system, architecture) = parse_amazon_linux(parameter).or_else(|| parse_ubuntu(parameter))?;
    IMAGES.iter().find(|image| image.system == system && image.architecture == architecture)
}

/// `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64` and its like.
fn parse_amazon_linux(parameter: &str) -> Option<(&str, &str)> {
    let rest = parameter.strip_prefix("/aws/service/ami-amazon-linux-latest/al2023-ami-")?;
    let (kernel, architecture) = rest.rsplit_once('-')?;
    let known = ["kernel-default", "kernel-6.1", "kernel-6.12", "minimal-kernel-default"];
    known.contains(&kernel).then_some(("al2023", architecture))
}

/// `/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id` and its like.
fn parse_ubuntu(parameter: &str) -> Option<(&str, &str)> {
    let rest = parameter.strip_prefix("/aws/service/canonical/ubuntu/server/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let [release, "stable", "current", architecture, "hvm", "ebs-gp2" | "ebs-gp3", "ami-id"] = parts.as_slice() else {
        return None;
    };
    let release = match *release {
        "noble" => "24.04",
        "jammy" => "22.04",
        release => release,
    };
    let architecture = match *architecture {
        "amd64" => "x86_64",
        architecture => architecture,
    };
    Some((release, architecture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_name_images_that_exist() {
        for (parameter, name) in [
            (
                "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
                "al2023-ami-2023.9.20260901.0-kernel-6.12-x86_64",
            ),
            (
                "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
                "al2023-ami-2023.9.20260901.0-kernel-6.12-arm64",
            ),
            (
                "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
                "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260901",
            ),
        ] {
            assert_eq!(find_image(parameter).map(|image| image.name), Some(name), "{parameter}");
        }
        for parameter in [
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-mips",
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3",
            "/mine",
        ] {
            assert_eq!(find_image(parameter), None, "{parameter}");
        }
    }

    #[test]
    fn ids_are_of_ec2s_form_and_unique() {
        let ids: std::collections::HashSet<_> = IMAGES.iter().map(|image| image.id).collect();
        assert_eq!(ids.len(), IMAGES.len());
        for id in ids {
            let digits = id.strip_prefix("ami-").expect("an image id");
            assert!(digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }
}
