//! What forbids a plan, each with the way out. Pure.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use lab_plan::Problem;

use crate::endpoint::Endpoint;
use crate::judge;
use crate::live::Subnet;
use crate::roles;
use crate::scene::Scene;

/// Addresses that a subnet must have left (Client VPN administrator guide, "Rules and best practices").
const FREE_ADDRESSES: i32 = 20;

/// Everything that forbids `up`.
pub(crate) fn find_refusals(scene: Scene<'_>) -> Vec<Problem> {
    let mut refusals = find_network_refusals(scene);
    if let Some(endpoint) = scene.live.endpoint() {
        refusals.extend(find_immutable(scene, endpoint));
        refusals.extend(find_authority_refusal(scene, endpoint));
    } else {
        refusals.extend(find_stray_certificate(scene).or_else(|| find_missing_key(scene)));
    }
    refusals.extend(find_duplicates(scene));
    if scene.live.log_group.as_ref().is_some_and(|group| !group.ours) && scene.want.endpoint.log_days.is_some() {
        let name = scene.names.vpn_log_group();
        let problem = Problem::failed(format!("the log group {name} exists, but it is not this lab's"));
        refusals.push(problem.fix("choose another owner (--owner), or delete it yourself"));
    }
    refusals
}

/// What is wrong with the network that the endpoint is to be put into.
pub(crate) fn find_network_refusals(scene: Scene<'_>) -> Vec<Problem> {
    let mut refusals = Vec::new();
    for want in &scene.want.subnets {
        let role = roles::subnet(&want.key);
        let found: Vec<_> = scene.live.subnets.iter().filter(|subnet| subnet.role == role).collect();
        let ids: Vec<_> = found.iter().map(|subnet| subnet.id.as_str()).collect();
        refusals.extend(refuse_number("subnet", &want.name, &ids));
    }
    let ids: Vec<_> = scene.live.groups.iter().map(|group| group.id.as_str()).collect();
    refusals.extend(refuse_number("security group", &scene.names.vpn_security_group(), &ids));
    if !refusals.is_empty() {
        return refusals;
    }
    refusals.extend(find_scattered(scene));
    refusals.extend(find_shared_zones(scene));
    refusals.extend(find_full(scene));
    refusals.extend(find_overlaps(scene));
    refusals
}

fn refuse_number(kind: &str, name: &str, ids: &[&str]) -> Option<Problem> {
    match ids {
        [_] => None,
        [] => Some(Problem::failed(format!("there is no {kind} {name} yet")).fix("make the network first: net-up up")),
        several => {
            let what = format!("{kind} {name} exists {} times: {}", several.len(), several.join(", "));
            Some(Problem::failed(what).fix("see what net-up says about it: net-up plan"))
        }
    }
}

fn list_subnets(scene: Scene<'_>) -> impl Iterator<Item = &Subnet> {
    scene.want.subnets.iter().filter_map(move |want| scene.subnet(want))
}

fn find_scattered(scene: Scene<'_>) -> Option<Problem> {
    let (vpc, group) = scene.place()?;
    let other = list_subnets(scene).find(|subnet| subnet.vpc != vpc)?;
    let what = format!("{} is in {}, but security group {group} is in {vpc}", other.name, other.vpc);
    let problem = Problem::failed(what).because("an endpoint, its subnets and its security group are in one VPC");
    Some(problem.fix("see what net-up says about it: net-up plan"))
}

fn find_shared_zones(scene: Scene<'_>) -> Vec<Problem> {
    let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
    let mut shared = Vec::new();
    for subnet in list_subnets(scene) {
        let Some(zone) = &subnet.zone else { continue };
        if let Some(earlier) = zones.insert(zone, &subnet.name) {
            let what = format!("vpn.subnet: {earlier} and {} are both in {zone}", subnet.name);
            let problem = Problem::failed(what).because("an endpoint takes one subnet of an Availability Zone");
            shared.push(problem.fix(
                "name one of them only; or give one another zone (zone = \"b\" in [network]), which needs the network \
                 to be made again",
            ));
        }
    }
    shared
}

/// Subnets that are to be associated and have no room for it. An associated one has used its addresses already.
fn find_full(scene: Scene<'_>) -> Vec<Problem> {
    let associated = |subnet: &Subnet| {
        let endpoint = scene.live.endpoint();
        let mut associations = endpoint.into_iter().flat_map(|endpoint| &endpoint.associations);
        associations.any(|association| association.subnet == subnet.id && association.is_alive())
    };
    let full = list_subnets(scene).filter(|subnet| !associated(subnet));
    let full = full.filter_map(|subnet| Some((subnet, subnet.free.filter(|free| *free < FREE_ADDRESSES)?)));
    let refuse = |(subnet, free): (&Subnet, i32)| {
        Problem::failed(format!("{} ({}) has {free} free addresses", subnet.name, subnet.id))
            .because(format!("Client VPN needs {FREE_ADDRESSES} in a subnet that it is associated with"))
            .fix("remove hosts from it, or name a larger subnet in vpn.subnet")
    };
    full.map(refuse).collect()
}

/// A VPC may have more blocks than lab.toml knows of.
fn find_overlaps(scene: Scene<'_>) -> Vec<Problem> {
    let clients = scene.want.endpoint.client_cidr;
    let overlaps = |block: &&Ipv4Net| block.contains(&clients) || clients.contains(*block);
    let refuse = |block: &Ipv4Net| {
        Problem::failed(format!("vpn.client_cidr = \"{clients}\" overlaps the VPC's {block}"))
            .fix("give the VPN's clients addresses of their own")
    };
    scene.live.vpc_blocks.iter().filter(overlaps).map(refuse).collect()
}

/// What lab.toml asks for but AWS cannot change in place.
fn find_immutable(scene: Scene<'_>, endpoint: &Endpoint) -> Vec<Problem> {
    let way_out = "write the old value back into lab.toml, or make the VPN anew: vpn-setup down, then vpn-setup up";
    let want = &scene.want.endpoint;
    let name = &endpoint.name;
    let (clients, transport) = (want.client_cidr.to_string(), want.transport.as_str());
    let mut refusals = Vec::new();
    if let Some(there) = endpoint.client_cidr.as_ref().filter(|there| **there != clients) {
        let what = format!("{name} gives its clients addresses of {there}, lab.toml wants {clients}");
        refusals.push(Problem::failed(what).because("an endpoint's client CIDR cannot be changed").fix(way_out));
    }
    if let Some(there) = endpoint.transport.as_ref().filter(|there| *there != transport) {
        let what = format!("{name} uses {there}, lab.toml wants {transport}");
        refusals.push(Problem::failed(what).because("an endpoint's transport cannot be changed").fix(way_out));
    }
    let anew = "make the VPN anew: vpn-setup down, then vpn-setup up";
    if let (Some(there), Some((vpc, _))) = (&endpoint.vpc, scene.place())
        && there != vpc
    {
        let what = format!("{name} is in {there}, but the lab's network is in {vpc}");
        refusals.push(Problem::failed(what).because("an endpoint stays in its VPC").fix(anew));
    }
    if let Some(root) = &endpoint.client_root
        && !scene.live.certificates.iter().any(|certificate| certificate.arn == *root)
    {
        let what = format!("{name} checks its clients against {root}, which is no certificate of this lab");
        refusals.push(Problem::failed(what).because("an endpoint's client root cannot be changed").fix(anew));
    }
    refusals
}

/// Why this machine cannot do what is to be done, where the endpoint's authority is on another one.
fn find_authority_refusal(scene: Scene<'_>, endpoint: &Endpoint) -> Option<Problem> {
    let local = scene.local();
    let served = scene.live.certificates.iter().find(|found| Some(&found.arn) == endpoint.server.as_ref());
    let served = served.and_then(|found| found.certificate.as_ref());
    let start_over = "or make the VPN anew, which makes every .ovpn file useless: vpn-setup down";
    if let (Some(authority), Some(server)) = (local.signing_authority(), served)
        && !server.is_signed_by(authority)
    {
        let name = &authority.common_name;
        let what = format!("{} is of another authority than \"{name}\" here", endpoint.name);
        let why = format!("the server's certificate in ACM is not signed by the one in {}", scene.directory);
        let fix = format!(
            "go on on the machine that made the VPN; or move {} away and name the right one: --ca-dir DIR;\n{start_over}, \
             then vpn-setup up",
            scene.directory
        );
        return Some(Problem::failed(what).because(why).fix(fix));
    }
    if local.can_sign || local.offered.is_some() || !judge::needs_authority(scene) {
        return None;
    }
    let what = format!("the authority that {} belongs to is not on this machine", endpoint.name);
    let why = format!(
        "its private key is where the VPN was made, in pki/private/ca.key of the lab's directory, and not in {}; AWS \
         cannot give it back. Nothing was changed",
        scene.directory
    );
    let fix = format!(
        "copy that pki directory here and name it: vpn-setup up --ca-dir DIR;\nor go on on that machine;\n{start_over}, \
         then vpn-setup up"
    );
    Some(Problem::failed(what).because(why).fix(fix))
}

/// A certificate that was imported with an authority that is not here: on another machine, or lost. With an endpoint of
/// it and clients of a new authority, nobody could connect, and the association would cost all the same.
fn find_stray_certificate(scene: Scene<'_>) -> Option<Problem> {
    let found = scene.live.certificate().filter(|_| scene.local().signing_authority().is_none())?;
    Some(refuse_stray(&found.arn, scene.directory))
}

/// Why a certificate in ACM cannot serve here, with the ways out.
pub(crate) fn refuse_stray(arn: &str, directory: &str) -> Problem {
    Problem::failed(format!("this lab's certificate in ACM is of an authority that is not on this machine: {arn}"))
        .because(format!("there is no endpoint yet, and one with it would refuse every client made in {directory}"))
        .fix(
            "name the authority that signed it: vpn-setup up --ca-dir DIR;\nor begin anew: vpn-setup down, which deletes \
             that certificate, then vpn-setup up",
        )
}

/// An authority that cannot sign what is to be signed.
fn find_missing_key(scene: Scene<'_>) -> Option<Problem> {
    let local = scene.local();
    let authority = local.authority.as_ref().filter(|_| !local.can_sign && local.offered.is_none())?;
    judge::needs_authority(scene).then(|| {
        Problem::failed(format!("the private key of \"{}\" is not on this machine", authority.common_name))
            .because(format!("{}/private/ca.key is missing, and certificates are to be signed", scene.directory))
            .fix(format!(
                "bring it from the machine that made it: vpn-setup up --ca-dir DIR;\nor move {} away, and vpn-setup \
                 up makes a new authority",
                scene.directory
            ))
    })
}

/// Two endpoints that both serve a subnet cannot be told apart by us.
fn find_duplicates(scene: Scene<'_>) -> Option<Problem> {
    let busy: Vec<_> = scene.live.endpoints.iter().filter(|one| one.is_alive() && one.is_associated()).collect();
    if busy.len() < 2 {
        return None;
    }
    let ids: Vec<_> = busy.iter().map(|endpoint| endpoint.id.as_str()).collect();
    let what = format!("there are {} endpoints of this lab with subnets: {}", ids.len(), ids.join(", "));
    let problem = Problem::failed(what).because("someone copied our tags, or each was completed by hand");
    Some(problem.fix("remove the wrong one's tags, or all of them: vpn-setup down"))
}
