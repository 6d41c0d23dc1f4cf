//! Which machine image a host boots, and what follows from it.

use lab_common::Image;

/// A processor architecture, in EC2's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    X86,
    Arm,
}

impl Arch {
    /// The architecture of an instance type. AWS's Arm families bear a `g` right behind the generation: `t4g`, `c7gn`.
    pub(crate) fn of(size: &str) -> Self {
        let family = size.split('.').next().unwrap_or(size);
        let generation = family.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let options = family[generation..].trim_start_matches(|c: char| c.is_ascii_digit());
        if family == "a1" || options.starts_with('g') { Self::Arm } else { Self::X86 }
    }

    /// EC2's word for it (`DescribeImages`).
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ami {
    /// `ami-…`
    pub(crate) id: String,
    /// The device its root volume is attached as; a mapping of another name would add a second volume.
    pub(crate) root_device: String,
    /// EC2's word for its architecture, where it was asked for.
    pub(crate) arch: Option<String>,
}

/// The tag value by which an instance's image is recognised again.
pub(crate) fn name_image(image: &Image) -> &str {
    match image {
        Image::AmazonLinux2023 => "amazon-linux-2023",
        Image::Ubuntu2404 => "ubuntu-24.04",
        Image::Ami(id) => id,
    }
}

/// The public SSM parameter that holds the current image's id; `None` for an image that is named by its id.
pub(crate) fn name_parameter(image: &Image, arch: Arch) -> Option<String> {
    match image {
        Image::AmazonLinux2023 => {
            Some(format!("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}", arch.as_str()))
        }
        Image::Ubuntu2404 => {
            // Canonical uses Debian's words.
            let arch = if arch == Arch::Arm { "arm64" } else { "amd64" };
            Some(format!("/aws/service/canonical/ubuntu/server/24.04/stable/current/{arch}/hvm/ebs-gp3/ami-id"))
        }
        Image::Ami(_) => None,
    }
}

/// The root device of the images that are looked up by parameter.
pub(crate) fn known_root_device(image: &Image) -> Option<&'static str> {
    match image {
        Image::AmazonLinux2023 => Some("/dev/xvda"),
        Image::Ubuntu2404 => Some("/dev/sda1"),
        Image::Ami(_) => None,
    }
}

/// Who logs in. For an image of the user's own it is guessed from the image's name.
pub(crate) fn login_user(image: &Image, ami_name: Option<&str>) -> &'static str {
    let name = ami_name.unwrap_or_default().to_ascii_lowercase();
    match image {
        Image::Ubuntu2404 => "ubuntu",
        Image::Ami(_) if name.contains("ubuntu") => "ubuntu",
        Image::Ami(_) if name.contains("debian") => "admin",
        Image::AmazonLinux2023 | Image::Ami(_) => "ec2-user",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arm_families_are_told_by_the_letter_behind_the_generation() {
        for size in
            ["t4g.micro", "c7gn.large", "m6gd.medium", "a1.large", "im4gn.large", "x2gd.medium", "hpc7g.4xlarge"]
        {
            assert_eq!(Arch::of(size), Arch::Arm, "{size}");
        }
        for size in
            ["t3.micro", "t2.nano", "g5.xlarge", "g4dn.xlarge", "m5a.large", "c6i.large", "u-6tb1.metal", "p4d.x"]
        {
            assert_eq!(Arch::of(size), Arch::X86, "{size}");
        }
    }

    #[test]
    fn current_images_come_from_aws_s_and_canonical_s_parameters() {
        let name = |image: &Image, size| name_parameter(image, Arch::of(size)).unwrap();
        assert_eq!(
            name(&Image::AmazonLinux2023, "t3.micro"),
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
        );
        assert_eq!(
            name(&Image::Ubuntu2404, "t4g.nano"),
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
        );
        assert_eq!(name_parameter(&Image::Ami("ami-12345678".into()), Arch::X86), None);
    }

    #[test]
    fn an_image_of_one_s_own_is_logged_in_to_as_its_name_suggests() {
        let own = Image::Ami("ami-12345678".into());
        assert_eq!(login_user(&own, Some("ubuntu/images/hvm-ssd-gp3/ubuntu-noble")), "ubuntu");
        assert_eq!(login_user(&own, Some("debian-12-amd64")), "admin");
        assert_eq!(login_user(&own, None), "ec2-user");
        assert_eq!(login_user(&Image::Ubuntu2404, None), "ubuntu");
    }
}
