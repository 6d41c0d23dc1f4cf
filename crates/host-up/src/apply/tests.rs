use super::*;
use crate::testing::{Form, Wire, ec2_error, iam_error};
use base64::Engine as _;

fn launch() -> Launch {
    Launch {
        account: "123456789012".into(),
        host: "public".into(),
        name: "lab-public-ec2".into(),
        ami: "ami-1".into(),
        image: "amazon-linux-2023".into(),
        root_device: "/dev/xvda".into(),
        size: "t3.micro".into(),
        subnet: "subnet-1".into(),
        group: "sg-1".into(),
        key: "lab-key-ada".into(),
        profile: Some("lab-host-profile-ada".into()),
        disk_gb: 8,
        runs: Some(Runs::Jupyter),
        used_tokens: vec![],
    }
}

fn started(id: &str, state: &str) -> String {
    format!(
        "<RunInstancesResponse><instancesSet><item><instanceId>{id}</instanceId><instanceState><code>0</code>\
         <name>{state}</name></instanceState></item></instancesSet></RunInstancesResponse>"
    )
}

/// The answers to what follows a launch: who else is there, a number, and who else is there now.
fn alone() -> [(u16, String); 3] {
    let nobody = || (200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>".to_owned());
    [nobody(), (200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>".to_owned()), nobody()]
}

/// The launches among the calls.
fn launches(forms: Vec<Form>) -> Vec<Form> {
    forms.into_iter().filter(|form| form["Action"] == "RunInstances").collect()
}

/// Carries out one step against stored answers, in a home of its own.
struct Bench {
    home: Home,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { home: Home::at(directory.path()), _directory: directory }
    }

    async fn apply(&self, op: &Op, answers: &[(u16, String)]) -> (Result<Option<String>, Problem>, Vec<Form>) {
        // Where nobody asks for them, answers are left over.
        let alone = alone();
        let wire = Wire::new(answers.iter().chain(&alone).map(|(status, body)| (*status, body.as_str())));
        let session = wire.session();
        let (clients, stop) = (Clients::new(&session.sdk), Stop::new());
        let hands = Hands { session: &session, clients: &clients, home: &self.home, stop: &stop };
        let answer = hands.apply(op).await;
        (answer, wire.forms())
    }
}

fn run_public() -> Op {
    Op::RunInstance(Box::new(launch()))
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_asked_for_as_the_rules_say() {
    let bench = Bench::new();
    let (id, forms) = bench.apply(&run_public(), &[(200, started("i-1", "pending"))]).await;
    assert_eq!(id.unwrap().as_deref(), Some("i-1"));
    let [form] = &launches(forms)[..] else { panic!("one launch") };
    for (field, value) in [
        ("Action", "RunInstances"),
        ("ImageId", "ami-1"),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("KeyName", "lab-key-ada"),
        ("SubnetId", "subnet-1"),
        ("SecurityGroupId.1", "sg-1"),
        ("IamInstanceProfile.Name", "lab-host-profile-ada"),
        ("MetadataOptions.HttpTokens", "required"),
        ("MetadataOptions.HttpPutResponseHopLimit", "1"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.2.ResourceType", "volume"),
    ] {
        assert_eq!(form.get(field).map(String::as_str), Some(value), "{field} in {form:#?}");
    }
    let tags: Vec<_> = form.iter().filter(|(key, _)| key.starts_with("TagSpecification.1.Tag")).collect();
    for value in ["lab-public-ec2", "instance public", "lab", "ada", "jupyter", "amazon-linux-2023"] {
        assert!(tags.iter().any(|(_, tag)| *tag == value), "{value} in {tags:?}");
    }

    let user_data = base64::engine::general_purpose::STANDARD.decode(&form["UserData"]).unwrap();
    let user_data = String::from_utf8(user_data).unwrap();
    let token = secrets::find_token(&bench.home).unwrap().expect("the token was made");
    assert!(user_data.starts_with("#cloud-config") && !user_data.contains(token.reveal()));
}

/// EC2's list of these instances of the host `public`, all of which one attempt has made.
fn listed(attempt: &str, instances: &[(&str, Option<u32>)]) -> String {
    let tag = |key: &str, value: &str| format!("<item><key>{key}</key><value>{value}</value></item>");
    let item = |(id, number): &(&str, Option<u32>)| {
        let number = number.map(|number| tag("hybrid-lab:number", &number.to_string())).unwrap_or_default();
        let tags = tag("hybrid-lab:role", "instance public") + &tag("hybrid-lab:attempt", attempt) + &number;
        format!(
            "<item><instancesSet><item><instanceId>{id}</instanceId><tagSet>{tags}</tagSet></item></instancesSet></item>"
        )
    };
    let items: String = instances.iter().map(item).collect();
    format!("<DescribeInstancesResponse><reservationSet>{items}</reservationSet></DescribeInstancesResponse>")
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_answer_was_lost_is_looked_for_and_not_started_again() {
    let bench = Bench::new();
    let lost = (500, ec2_error("InternalError", "lost"));
    let found = (200, listed("token", &[("i-1", None)]));
    let (id, forms) = bench.apply(&run_public(), &[lost, found]).await;
    assert_eq!(id.unwrap().as_deref(), Some("i-1"));
    let [launch] = &launches(forms.clone())[..] else { panic!("{forms:#?}") };
    // The attempt is the token: a repeated call is the same call.
    let attempt = forms[1].values().find(|value| **value == launch["ClientToken"]);
    assert!(attempt.is_some() && forms[1]["Action"] == "DescribeInstances", "{:#?}", forms[1]);
    assert!(launch.iter().any(|(key, value)| key.starts_with("TagSpec") && *value == launch["ClientToken"]));
    let (_, later) = bench.apply(&run_public(), &[(200, started("i-1", "running"))]).await;
    assert_eq!(launch["ClientToken"], later[0]["ClientToken"]);
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_turn_terminates_its_own_instance() {
    let answers = [
        (200, started("i-1", "pending")),
        (200, listed("theirs", &[("i-9", Some(1))])),
        alone()[1].clone(),
        (200, listed("theirs", &[("i-9", Some(1)), ("i-1", Some(2))])),
        (200, "<TerminateInstancesResponse/>".to_owned()),
    ];
    let (id, forms) = Bench::new().apply(&run_public(), &answers).await;
    assert_eq!(id.unwrap().as_deref(), Some("i-9"));
    assert_eq!((forms[2]["Tag.1.Key"].as_str(), forms[2]["Tag.1.Value"].as_str()), ("hybrid-lab:number", "2"));
    let last = forms.last().unwrap();
    assert_eq!((last["Action"].as_str(), last["InstanceId.1"].as_str()), ("TerminateInstances", "i-1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_instance_is_gone_gives_way_to_the_next() {
    let bench = Bench::new();
    let answers = [
        (400, ec2_error("IdempotentInstanceTerminated", "gone")),
        (200, started("i-old", "terminated")),
        (200, started("i-new", "pending")),
    ];
    let (id, forms) = bench.apply(&run_public(), &answers).await;
    assert_eq!(id.unwrap().as_deref(), Some("i-new"));
    let forms = launches(forms);
    let tokens: std::collections::BTreeSet<_> = forms.iter().map(|form| &form["ClientToken"]).collect();
    assert_eq!(tokens.len(), 3);

    // A later run, which sees the terminated ones, does not even try their tokens.
    let used_tokens = vec![forms[0]["ClientToken"].clone(), forms[1]["ClientToken"].clone()];
    let again = Op::RunInstance(Box::new(Launch { used_tokens, ..launch() }));
    let (_, later) = bench.apply(&again, &[(200, started("i-new", "running"))]).await;
    assert_eq!(later[0]["ClientToken"], forms[2]["ClientToken"]);
}

#[tokio::test(start_paused = true)]
async fn only_a_profile_that_ec2_does_not_know_yet_is_waited_for() {
    let bench = Bench::new();
    let message = "Value (lab-host-profile-ada) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
    let unseen = (400, ec2_error("InvalidParameterValue", message));
    let answers = [unseen.clone(), unseen, (200, started("i-1", "pending"))];
    let (id, forms) = bench.apply(&run_public(), &answers).await;
    assert_eq!((id.unwrap().as_deref(), launches(forms).len()), (Some("i-1"), 3));

    let wrong = (400, ec2_error("InvalidParameterValue", "Invalid availability zone"));
    let (problem, forms) = bench.apply(&run_public(), &[wrong]).await;
    assert_eq!(forms.len(), 1);
    assert!(problem.unwrap_err().what().contains("Invalid availability zone"));
}

#[tokio::test(start_paused = true)]
async fn missing_capacity_says_what_to_try() {
    let full = (400, ec2_error("InsufficientInstanceCapacity", "no t3.micro left"));
    let (problem, _) = Bench::new().apply(&run_public(), &[full]).await;
    let problem = problem.unwrap_err();
    assert!(problem.remedy().is_some_and(|fix| fix.contains("another zone")), "{problem}");
}

fn described(public_key: &str) -> String {
    format!(
        "<DescribeKeyPairsResponse><keySet><item><keyPairId>key-1</keyPairId><keyName>lab-key-ada</keyName>\
         <publicKey>{public_key}</publicKey></item></keySet></DescribeKeyPairsResponse>"
    )
}

#[tokio::test(start_paused = true)]
async fn an_import_whose_answer_was_lost_is_recognised_and_a_foreign_key_is_not_taken() {
    let bench = Bench::new();
    let own = secrets::make_public_key(&bench.home, "lab-key-ada").unwrap().to_openssh().unwrap();
    let duplicate = (400, ec2_error("InvalidKeyPair.Duplicate", "exists"));
    let (id, _) = bench.apply(&Op::ImportKeyPair, &[duplicate.clone(), (200, described(&own))]).await;
    assert_eq!(id.unwrap().as_deref(), Some("key-1"));

    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x";
    let (refused, _) = bench.apply(&Op::ImportKeyPair, &[duplicate, (200, described(other))]).await;
    assert!(refused.is_err());
}

fn role_with(tags: &str) -> String {
    format!(
        "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>lab-host-role-ada</RoleName>\
         <RoleId>AROA1</RoleId><Arn>arn:aws:iam::123456789012:role/lab-host-role-ada</Arn>\
         <CreateDate>2026-11-20T00:00:00Z</CreateDate><Tags>{tags}</Tags></Role></GetRoleResult></GetRoleResponse>"
    )
}

#[tokio::test(start_paused = true)]
async fn a_role_that_exists_is_ours_only_with_our_tags() {
    let member = |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let ours = member("hybrid-lab:lab", "lab") + &member("hybrid-lab:owner", "ada");
    let exists = (409, iam_error("EntityAlreadyExists"));
    let (name, _) = Bench::new().apply(&Op::CreateRole, &[exists.clone(), (200, role_with(&ours))]).await;
    assert_eq!(name.unwrap().as_deref(), Some("lab-host-role-ada"));
    let (refused, _) = Bench::new().apply(&Op::CreateRole, &[exists.clone(), (200, role_with(""))]).await;
    assert!(refused.unwrap_err().what().contains("does not bear the tags of this lab"));
    // Who cannot look does not know whose it is.
    let (expired, _) = Bench::new().apply(&Op::CreateRole, &[exists, (403, iam_error("ExpiredToken"))]).await;
    assert!(expired.unwrap_err().ends_all());
}

#[tokio::test(start_paused = true)]
async fn deleting_what_is_gone_is_done() {
    let bench = Bench::new();
    let absent = || [(404, iam_error("NoSuchEntity"))];
    let twice = [(404, iam_error("NoSuchEntity")), (404, iam_error("NoSuchEntity"))];
    assert!(bench.apply(&Op::RemoveRoleFromProfile, &twice).await.0.is_ok());
    assert!(bench.apply(&Op::DeleteProfile, &absent()).await.0.is_ok());
    // Its policies of both kinds, and the role itself.
    let absent = [absent(), absent(), absent()].concat();
    assert!(bench.apply(&Op::DeleteRole, &absent).await.0.is_ok());
    let terminate = Op::TerminateInstance { id: "i-1".into() };
    let gone = [(400, ec2_error("InvalidInstanceID.NotFound", "gone"))];
    assert!(bench.apply(&terminate, &gone).await.0.is_ok());
}
