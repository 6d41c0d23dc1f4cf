//! Task 1: a picture goes from a public host through S3 and a function.

use lab_common::Internet;
use lab_picture::Route;

use super::super::evidence::Step;
use super::super::look::Seen;
use super::{Facts, Proof, tell, text};
use crate::picture::read_route;

/// As many objects as one call lists.
const LISTED: usize = 1000;

impl Proof<'_> {
    pub(super) fn first_task(&self) -> Vec<Step> {
        let public = Internet::Gateway;
        let network = self.add_subnet(self.add_vpc(Facts::default()), public);
        vec![
            network.judge("Create the VPC and the public subnet."),
            self.gateway().judge("Add the Internet Gateway to the VPC."),
            self.public_routes().judge("Create a Route Table for the public subnet and associate it with the Internet Gateway."),
            self.reachable_host(public, &[22, 8888]).judge(
                "Create an EC2 instance in the public subnet; its security group allows SSH (port 22) and HTTP on port 8888.",
            ),
            self.set_up(public, "Python with boto3, Jupyter and Pillow").judge("Set up Python with the required libraries."),
            self.pipeline().judge("Create the S3 buckets and the Lambda function, with a trigger for new images."),
            self.uploaded().judge("Give the instance credentials, launch the Jupyter server, and upload an image."),
            self.processed().judge("Check that the function is triggered and the processed image is in the output bucket."),
        ]
    }

    fn gateway(&self) -> Facts {
        let name = self.names.internet_gateway();
        let gateway = self.find_part("internet-gateway", "internet-gateway", &name);
        let facts = Facts::default().must_be(gateway.map(|gateway| tell(gateway, &[])), &name);
        match gateway.map(|gateway| gateway.state.as_str()) {
            Some("attached") => facts.must(true, "it is attached to the VPC"),
            Some(state) => facts.must(false, format!("it is {state}, and not attached to the VPC")),
            None => facts,
        }
    }

    fn public_routes(&self) -> Facts {
        let name = self.names.public_route_table();
        let table = self.find_part("route-table", "route-table public-to-internet", &name);
        let facts = Facts::default().must_be(table.map(|table| tell(table, &[])), &name);
        let Some(table) = table else { return facts };
        let target = text(table, "default_route").unwrap_or("none");
        let facts = match target {
            "none" => facts.must(false, "it has no route for 0.0.0.0/0"),
            target => facts.must(target.starts_with("igw-"), format!("0.0.0.0/0 goes to {target}")),
        };
        let role = self.subnet(Internet::Gateway).unwrap_or_default();
        let Some(subnet) = self.find_part("subnet", &format!("subnet {role}"), &self.names.subnet(role)) else {
            return facts.must(false, "there is no public subnet to associate it with");
        };
        match read_route(self.world, &subnet.id) {
            Route::Gateway => facts.must(true, format!("{} is associated with the way to the gateway", subnet.name)),
            Route::Unknown => facts.note("which table the public subnet uses could not be read"),
            Route::None | Route::Nat | Route::Other(_) => {
                facts.must(false, format!("{} uses a table that does not lead to the gateway", subnet.name))
            }
        }
    }

    fn pipeline(&self) -> Facts {
        let Some(images) = &self.lab.images else { return Facts::default().must(false, "lab.toml has no [images]") };
        let mut facts = Facts::default();
        for bucket in [&images.input, &images.output] {
            facts = facts.must_be(self.find("bucket", bucket).map(|one| format!("bucket {}", one.name)), bucket);
        }
        // Lambda wakes a function that has slept for weeks at its next event.
        let works = ["Active", "Inactive"];
        facts = facts.must_work(self.find("function", &images.function), &[], &works, &images.function);
        let trigger = self.of_kind("bucket-notification").find(|one| one.state == "available");
        let queue = trigger.and_then(|one| text(one, "queue")).and_then(|arn| arn.rsplit(':').next());
        if queue.is_some() {
            let mapping = self.find("event-source-mapping", &images.function);
            facts = facts.must_work(mapping, &[], &["Enabled"], "the mapping from the queue to the function");
        } else {
            let permission = self.find("function-permission", &images.function);
            let told =
                permission.filter(|one| one.state == "available").map(|_| "S3 may invoke the function".to_owned());
            facts = facts.must_be(told, "the permission for S3 to invoke the function");
        }
        let told = trigger.map(|one| {
            let events = text(one, "events").unwrap_or_default();
            let way = queue.map_or("invokes the function".to_owned(), |queue| format!("goes to the queue {queue}"));
            format!("{events} of {} {way}", one.name)
        });
        facts.must_be(told, "the trigger")
    }

    fn uploaded(&self) -> Facts {
        let profile = self.of_kind("instance-profile").next();
        let mut facts = Facts::default();
        facts = match profile {
            Some(profile) => facts
                .note(format!("credentials come from the instance profile {}; no key is on the host", profile.name)),
            None => facts.note("no instance profile of the lab's own is there; a Learner Lab has its own"),
        };
        let running = self.instance(Internet::Gateway);
        let ready = running.and_then(|one| one.more.get("ready")?.as_bool()) == Some(true);
        let url = running.and_then(|one| text(one, "url")).filter(|_| ready);
        facts = facts.must_be(url.map(|url| format!("the Jupyter server runs at {url}")), "a running Jupyter server");
        let Seen { originals, is_part, .. } = *self.seen;
        let noun = if originals == 1 { "object" } else { "objects" };
        // One list of a bucket holds a thousand; fewer are all that there are.
        let least = if is_part && originals >= LISTED { "at least " } else { "" };
        facts.must(originals > 0, format!("the input bucket holds {least}{originals} {noun}"))
    }

    fn processed(&self) -> Facts {
        let Some((before, after)) = &self.seen.pair else {
            let of = if self.seen.is_part { " (looked at: the first 1000 objects of each)" } else { "" };
            let told = format!("the output bucket holds nothing that was made from the input bucket{of}");
            return Facts::default().must(false, told);
        };
        let (log, key) = (&self.seen.log, before.as_str());
        let facts = Facts::default().must(true, format!("{before} became {after}: both are shown below"));
        let facts = match self.seen.is_marked {
            Some(true) => facts.must(true, "it bears the function's mark, with the ETag of this original"),
            Some(false) => {
                facts.must(false, "it bears no mark of the function for this original: it came from elsewhere")
            }
            None => facts.note("it is too large to be fetched here, so that its mark was not looked at"),
        };
        let noun = if log.len() == 1 { "line" } else { "lines" };
        match log.len() {
            0 => facts.must(false, "the function's log is empty: nothing tells that it ran"),
            lines if log.iter().any(|line| line.contains(key)) => {
                facts.must(true, format!("the function's log names {key}: its newest {lines} {noun} are shown below"))
            }
            lines => facts.note(format!("the newest of the function's log, {lines} {noun}, shown below")),
        }
    }
}
