//! The name of everything. Names are the interface between the binaries, so they stand in one place.

use crate::Lab;

/// The names of one lab. A role is a key of lab.toml (`public` of `[hosts.public]`).
#[derive(Debug, Clone)]
pub struct Names {
    lab: String,
    owner: String,
}

impl Names {
    /// The names of `lab`.
    pub fn new(lab: &Lab) -> Self {
        Self { lab: lab.name.clone(), owner: lab.owner.clone() }
    }

    /// `lab-vpc`
    pub fn vpc(&self) -> String {
        format!("{}-vpc", self.lab)
    }

    /// `lab-public-subnet`
    pub fn subnet(&self, role: &str) -> String {
        format!("{}-{role}-subnet", self.lab)
    }

    /// `lab-igw`
    pub fn internet_gateway(&self) -> String {
        format!("{}-igw", self.lab)
    }

    /// `lab-public-to-internet`: the table of every subnet behind the internet gateway.
    pub fn public_route_table(&self) -> String {
        format!("{}-public-to-internet", self.lab)
    }

    /// `lab-main`: the VPC's own table, which the private subnets use.
    pub fn main_route_table(&self) -> String {
        format!("{}-main", self.lab)
    }

    /// `lab-public-ec2`, for the instance and its security group.
    pub fn host(&self, role: &str) -> String {
        format!("{}-{role}-ec2", self.lab)
    }

    /// `lab-client-vpn`: the security group of the VPN endpoint.
    pub fn vpn_security_group(&self) -> String {
        format!("{}-client-vpn", self.lab)
    }

    /// `lab-client-vpn-endpoint`
    pub fn vpn_endpoint(&self) -> String {
        format!("{}-client-vpn-endpoint", self.lab)
    }

    /// `lab-client-vpn-log-OWNER`: where the VPN endpoint logs connections.
    pub fn vpn_log_group(&self) -> String {
        format!("{}-client-vpn-log-{}", self.lab, self.owner)
    }

    /// `lab-nat-gateway`
    pub fn nat_gateway(&self) -> String {
        format!("{}-nat-gateway", self.lab)
    }

    /// `lab-nat-eip`
    pub fn nat_address(&self) -> String {
        format!("{}-nat-eip", self.lab)
    }

    /// `lab-key-OWNER`: the key pair of our own.
    pub fn key_pair(&self) -> String {
        format!("{}-key-{}", self.lab, self.owner)
    }

    /// `lab-host-role-OWNER`: what the hosts may do.
    pub fn host_role(&self) -> String {
        format!("{}-host-role-{}", self.lab, self.owner)
    }

    /// `lab-host-profile-OWNER`: what hands that role to the hosts.
    pub fn host_profile(&self) -> String {
        format!("{}-host-profile-{}", self.lab, self.owner)
    }

    /// `lab-lambda-role-OWNER`: what the function may do.
    pub fn function_role(&self) -> String {
        format!("{}-lambda-role-{}", self.lab, self.owner)
    }

    /// `lab-image-queue-OWNER`: what S3 tells of new objects, where the lab has a queue.
    pub fn image_queue(&self) -> String {
        format!("{}-image-queue-{}", self.lab, self.owner)
    }

    /// `lab-image-dead-letters-OWNER`: what the function could not do.
    pub fn dead_letters(&self) -> String {
        format!("{}-image-dead-letters-{}", self.lab, self.owner)
    }

    /// `lab-batch-role-OWNER`: what a job of S3 Batch Operations may do.
    pub fn batch_role(&self) -> String {
        format!("{}-batch-role-{}", self.lab, self.owner)
    }

    /// `/aws/lambda/FUNCTION`: the log group Lambda writes to.
    pub fn function_log_group(function: &str) -> String {
        format!("/aws/lambda/{function}")
    }
}
