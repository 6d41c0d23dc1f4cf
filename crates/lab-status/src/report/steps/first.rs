//! Task 1: a picture goes from a public host through S3 and a function.

use lab_common::{Images, Internet};
use lab_picture::Route;
use serde_json::Value;

use super::super::evidence::Step;
use super::super::look::{Function, Pair, Trigger};
use super::{Facts, Proof, count, tell_thing, text};
use crate::picture::{find_table, read_route};
use crate::thing::Fate;

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
            self.set_up(public, "Python with boto3, Jupyter and Pillow")
                .note("whether somebody has connected to it through SSH cannot be seen from AWS")
                .judge("Connect to the instance and set up Python with the required libraries."),
            self.pipeline().judge("Create the S3 buckets and the Lambda function, with a trigger for new images."),
            self.uploaded().judge("Give the instance credentials, launch the Jupyter server, and upload an image."),
            self.processed().judge("Check that the function is triggered and the processed image is in the output bucket."),
        ]
    }

    fn gateway(&self) -> Facts {
        let name = self.names.internet_gateway();
        let gateway = match self.internet_gateway() {
            Ok(Some(gateway)) => gateway,
            Ok(None) => return Facts::default().lacks(format!("{name} is not there")),
            Err(why) => return Facts::default().unread(&name, &why),
        };
        let facts = Facts::default().note(tell_thing(gateway));
        match (gateway.place.vpc.as_deref(), self.vpc()) {
            (None, _) => facts.lacks(format!("it is {}: attached to no VPC", gateway.state)),
            (Some(id), Ok(Some(vpc))) if vpc.id == id => facts.proves(format!("it is attached to {}", tell_thing(vpc))),
            (Some(id), Ok(Some(vpc))) => facts.lacks(format!("it is attached to {id}, not to {}", tell_thing(vpc))),
            (Some(id), Ok(None)) => facts.lacks(format!("it is attached to {id}; {} is not there", self.names.vpc())),
            (Some(_), Err(why)) => facts.unread(&self.names.vpc(), &why),
        }
    }

    fn public_routes(&self) -> Facts {
        let name = self.names.public_route_table();
        let table = match self.public_table() {
            Ok(Some(table)) => table,
            Ok(None) => return Facts::default().lacks(format!("{name} is not there")),
            Err(why) => return Facts::default().unread(&name, &why),
        };
        let facts = Facts::default().note(tell_thing(table));
        let facts = match text(table, "default_route").unwrap_or("none") {
            "none" => facts.lacks("it has no route for 0.0.0.0/0"),
            target => facts.must(target.starts_with("igw-"), format!("its 0.0.0.0/0 goes to {target}")),
        };
        let subnet = match self.subnet(Internet::Gateway) {
            Ok(Some(subnet)) => subnet,
            Ok(None) => return facts.lacks("there is no public subnet to associate it with"),
            Err(why) => return facts.unread("the public subnet", &why),
        };
        if let Some(why) = self.world.find_unread("DescribeRouteTables") {
            return facts.unread("which table the public subnet uses", why);
        }
        let used = find_table(self.world, &subnet.id).map_or("no table that EC2 lists".to_owned(), tell_thing);
        let is_way = read_route(self.world, &subnet.id) == Route::Gateway;
        let leads = if is_way { "which leads to the gateway" } else { "which does not lead to the gateway" };
        facts.must(is_way, format!("{} uses {used}, {leads}", subnet.name))
    }

    fn pipeline(&self) -> Facts {
        let Some(images) = &self.lab.images else { return Facts::default().lacks("lab.toml has no [images]") };
        let mut facts = Facts::default();
        for bucket in [&images.input, &images.output] {
            facts = self.add_bucket(facts, bucket);
        }
        let function = match &self.seen.pipeline.function {
            Ok(Some(function)) => function,
            Ok(None) => return facts.lacks(format!("{} is not there", images.function)),
            Err(why) => return facts.unread(&images.function, why),
        };
        self.add_trigger(add_function(facts, images, function), images, function)
    }

    fn add_bucket(&self, facts: Facts, name: &str) -> Facts {
        let is_shown = self.of_kind("bucket").any(|one| one.name == name);
        let is_seen =
            self.world.things.iter().any(|one| one.kind == "bucket" && one.name == name && one.fate == Fate::Stays);
        if is_shown || is_seen {
            return facts.proves(format!("bucket {name}"));
        }
        match self.pipeline_unread {
            Some(why) => facts.unread(&format!("bucket {name}"), why),
            None => facts.lacks(format!("bucket {name} is not there, or not this lab's")),
        }
    }

    /// What of the bucket's notifications reaches the function when a new image comes, and whether S3 may invoke it.
    fn add_trigger(&self, facts: Facts, images: &Images, function: &Function) -> Facts {
        let what = format!("what {} tells of new objects", images.input);
        let triggers = match &self.seen.pipeline.triggers {
            Ok(triggers) => triggers,
            Err(why) => return facts.unread(&what, why),
        };
        let queue = format!(":{}", self.names.image_queue());
        let is_queue = |trigger: &&Trigger| trigger.target.ends_with(&queue);
        let is_function = |trigger: &&Trigger| invokes(&trigger.target, &function.arn);
        let ours: Vec<_> = triggers.iter().filter(|one| is_function(one) || is_queue(one)).collect();
        let Some(best) = ours.iter().find(|one| find_gap(one, images).is_none()).or(ours.first()) else {
            let others: Vec<_> = triggers.iter().map(|one| name_target(&one.target)).collect();
            let told = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
            return facts.lacks(format!("of new objects {} tells {told}, not {}", images.input, images.function));
        };
        let told = tell_trigger(best, &images.input);
        let facts = match find_gap(best, images) {
            None => facts.proves(told),
            Some(gap) => facts.lacks(format!("{told}: {gap}")),
        };
        if is_queue(best) { self.add_mapping(facts) } else { self.add_permission(facts, images) }
    }

    /// From the queue to the function.
    fn add_mapping(&self, facts: Facts) -> Facts {
        match (self.of_kind("event-source-mapping").next(), self.pipeline_unread) {
            (Some(mapping), _) => {
                let told = format!("the mapping from the queue to the function is {}", mapping.state);
                facts.must(mapping.state == "Enabled", told)
            }
            (None, Some(why)) => facts.unread("the mapping from the queue to the function", why),
            (None, None) => facts.lacks("there is no mapping from the queue to the function"),
        }
    }

    fn add_permission(&self, facts: Facts, images: &Images) -> Facts {
        let policy = match &self.seen.pipeline.policy {
            Ok(policy) => policy,
            Err(why) => return facts.unread("who may invoke the function", why),
        };
        let bucket = format!("arn:aws:s3:::{}", images.input);
        match policy.as_ref().and_then(|policy| find_permission(policy, &bucket, &self.world.account)) {
            Some(sid) => facts.proves(format!("S3 may invoke the function for {} (statement {sid})", images.input)),
            None => {
                facts.lacks(format!("no statement of the function's policy lets S3 invoke it for {}", images.input))
            }
        }
    }

    fn uploaded(&self) -> Facts {
        let facts = self.add_upload(self.add_jupyter(self.add_credentials(Facts::default())));
        facts.note("who has uploaded it, and that it was the notebook's code, cannot be seen from AWS")
    }

    /// Whatever gives the host the right to write to the bucket.
    fn add_credentials(&self, facts: Facts) -> Facts {
        let machine = match self.machine(Internet::Gateway) {
            Ok(Some(machine)) => machine,
            Ok(None) => return facts.lacks("there is no public host to give credentials to"),
            Err(why) => return facts.unread("the public host", &why),
        };
        let Some(profile) = &machine.profile else {
            return facts
                .unseen("it has no instance profile; whether somebody has put keys on it cannot be seen from AWS");
        };
        let facts = facts.proves(format!("its instance profile is {profile}"));
        if *profile != self.names.host_profile() {
            return facts.note("what the role of that profile may do was not looked at");
        }
        match &self.seen.pipeline.may_upload {
            Ok(true) => facts.proves(format!("the role {} has host-up's policy for the buckets", self.names.host_role())),
            Ok(false) => facts.unseen(format!(
                "the role {} has not host-up's policy: whether something else lets it write to the bucket was not looked at",
                self.names.host_role()
            )),
            Err(why) => facts.unread(&format!("the policy of {}", self.names.host_role()), why),
        }
    }

    fn add_jupyter(&self, facts: Facts) -> Facts {
        let Ok(Some(machine)) = self.machine(Internet::Gateway) else { return facts };
        let address = machine.public_ip.as_ref().or(machine.private_ip.as_ref());
        match machine.is_working() {
            Ok(true) => {
                let address = address.map(|address| format!(" at http://{address}:8888/lab")).unwrap_or_default();
                facts.proves(format!("its console says that the Jupyter server answers{address}"))
            }
            Ok(false) if machine.state != "running" => {
                facts.lacks(format!("the host is {}: no Jupyter server runs", machine.state))
            }
            Ok(false) => facts.unseen("nothing proves that a Jupyter server runs: see step 5"),
            Err(why) => facts.unread("whether a Jupyter server runs", &why),
        }
    }

    fn add_upload(&self, facts: Facts) -> Facts {
        let originals = match &self.seen.originals {
            Ok(originals) => originals,
            Err(why) => return facts.unread("what the input bucket holds", why),
        };
        let least = if originals.is_part { "at least " } else { "" };
        let held = format!("the input bucket holds {least}{}", count(originals.count, "object"));
        match &originals.picture {
            Some((key, Ok(true))) => facts.proves(format!("{held}; {key} is a picture")),
            Some((key, Ok(false))) => facts.unseen(format!("{held}; {key} could not be read as a picture")),
            Some((key, Err(why))) => {
                facts.unseen(format!("{held}; whether {key} is a picture was not looked at: {why}"))
            }
            None if originals.is_part => facts.unseen(format!("{held}; none of those looked at has a picture's name")),
            None if originals.count == 0 => facts.lacks(held),
            None => facts.lacks(format!("{held}, none with a picture's name")),
        }
    }

    fn processed(&self) -> Facts {
        let Pair { before, after, is_marked } = match &self.seen.pair {
            Ok(Some(pair)) => pair,
            Ok(None) if self.seen.is_part => {
                return Facts::default().unseen("of the first 1000 objects of each bucket none was made from another");
            }
            Ok(None) => {
                return Facts::default().lacks("the output bucket holds nothing that was made from the input bucket");
            }
            Err(why) => return Facts::default().unread("what the buckets hold", why),
        };
        let images = self.lab.images.as_ref();
        let place = |bucket: Option<&String>, key: &str| format!("s3://{}/{key}", bucket.map_or("", String::as_str));
        let has = |place: String| self.seen.pictures.iter().any(|picture| picture.place == place);
        let shown = match (
            has(place(images.map(|images| &images.input), before)),
            has(place(images.map(|images| &images.output), after)),
        ) {
            (true, true) => "; both are shown below",
            (true, false) => "; the first one is shown below",
            (false, true) => "; the second one is shown below",
            (false, false) => "",
        };
        let facts = Facts::default().proves(format!("{after} is the result of {before} by its name{shown}"));
        let facts = match is_marked {
            Ok(true) => facts.proves("it bears the function's mark, with the ETag of this original"),
            Ok(false) => facts.lacks("it bears no mark of the function for this original: it came from elsewhere"),
            Err(why) => facts.unread("whether it bears the function's mark", why),
        };
        let log = match &self.seen.log {
            Ok(log) => log,
            Err(why) => return facts.unread("the function's log", why),
        };
        let lines = count(log.len(), "line");
        if log.is_empty() {
            facts.unseen("the function's log is empty: nothing tells that it ran")
        } else if log.iter().any(|line| line.contains(before.as_str())) {
            facts.proves(format!("the function's log names {before}: its newest {lines} are shown below"))
        } else {
            facts.note(format!("the newest of the function's log, {lines}, shown below"))
        }
    }
}

fn add_function(facts: Facts, images: &Images, function: &Function) -> Facts {
    let Function { state, reason, output, reserved, runtime, code, .. } = function;
    let why = reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    // Lambda wakes a function that has slept for weeks at its next event.
    let works = ["Active", "Inactive"].contains(&state.as_str());
    let mut facts = facts.must(works, format!("{}: {state}{why}", images.function));
    if *reserved == Some(0) {
        facts = facts.lacks("its reserved concurrency is 0: it never runs");
    }
    if let Some(output) = output {
        let told = format!("its OUTPUT_BUCKET is {output}");
        facts = if *output == images.output {
            facts.proves(told)
        } else {
            facts.lacks(format!("{told}, not {}", images.output))
        };
    }
    facts.note(format!(
        "{runtime}, code SHA-256 {code}: whose code that is AWS does not tell; step 8 shows what it has done"
    ))
}

/// Whether this target is that function, in whatever version.
fn invokes(target: &str, function: &str) -> bool {
    target.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn name_target(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// Why an uploaded image would not be told, if one would not.
fn find_gap(trigger: &Trigger, images: &Images) -> Option<String> {
    let uploads = ["s3:ObjectCreated:*", "s3:ObjectCreated:Put"];
    if !trigger.events.iter().any(|event| uploads.contains(&event.as_str())) {
        return Some("an upload is no such event".to_owned());
    }
    let suffix = trigger.suffix.to_ascii_lowercase();
    let is_image = ["png", "jpg", "jpeg"].iter().any(|ending| format!(".{ending}").ends_with(&suffix));
    if !is_image && trigger.suffix != images.suffix {
        return Some("images do not end so".to_owned());
    }
    let is_wanted = trigger.prefix.is_empty() || trigger.prefix == images.prefix;
    (!is_wanted).then(|| "lab.toml has no such prefix".to_owned())
}

/// `s3:ObjectCreated:* of lab-input-bucket-ada invokes lab-lambda-function, for keys that end in .png`
fn tell_trigger(trigger: &Trigger, bucket: &str) -> String {
    let Trigger { target, events, prefix, suffix } = trigger;
    let verb = if target.contains(":sqs:") { "goes to the queue" } else { "invokes" };
    let name = target.split(":function:").nth(1).unwrap_or_else(|| name_target(target));
    let only = match (prefix.as_str(), suffix.as_str()) {
        ("", "") => String::new(),
        ("", suffix) => format!(", for keys that end in {suffix}"),
        (prefix, "") => format!(", for keys that begin with {prefix}"),
        (prefix, suffix) => format!(", for keys that begin with {prefix} and end in {suffix}"),
    };
    format!("{} of {bucket} {verb} {name}{only}", events.join(", "))
}

/// The name of a statement that lets S3 invoke the function for this bucket, whoever has written it.
fn find_permission(policy: &Value, bucket: &str, account: &str) -> Option<String> {
    let statements = list(policy.get("Statement")?);
    let found = statements.into_iter().find(|one| lets_s3_invoke(one, bucket, account))?;
    Some(found.get("Sid").and_then(Value::as_str).unwrap_or("without a name").to_owned())
}

fn lets_s3_invoke(statement: &Value, bucket: &str, account: &str) -> bool {
    let says = |value: Option<&Value>, wanted: &[&str]| {
        value.is_some_and(|value| list(value).iter().any(|one| one.as_str().is_some_and(|one| wanted.contains(&one))))
    };
    let principal = statement.get("Principal");
    let is_s3 = says(principal, &["*"]) || says(principal.and_then(|it| it.get("Service")), &["s3.amazonaws.com"]);
    statement.get("Effect").and_then(Value::as_str) == Some("Allow")
        && is_s3
        && says(statement.get("Action"), &["lambda:InvokeFunction", "lambda:*", "*"])
        && list_conditions(statement).iter().all(|(key, values)| {
            let wanted = match key.as_str() {
                "aws:sourcearn" => bucket,
                "aws:sourceaccount" => account,
                _ => return false,
            };
            values
                .iter()
                .any(|value| value == wanted || value.strip_suffix('*').is_some_and(|front| wanted.starts_with(front)))
        })
}

/// Keys in lower case, for IAM compares them so; and their values, whatever the operator.
fn list_conditions(statement: &Value) -> Vec<(String, Vec<String>)> {
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let pairs = operators.filter_map(|(_, pairs)| pairs.as_object()).flatten();
    let texts = |value| list(value).into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    pairs.map(|(key, value)| (key.to_ascii_lowercase(), texts(value))).collect()
}

/// A list of one may be written without brackets (IAM user guide, "Grammar of the IAM JSON policy language").
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |all| all.iter().collect())
}
