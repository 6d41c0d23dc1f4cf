//! Where a subnet's traffic to the internet goes, as its route table says. Pure.

use lab_picture::Route;
use serde_json::Value;

use crate::census::World;
use crate::thing::Thing;

/// Where 0.0.0.0/0 goes from this subnet.
pub(crate) fn read_route(world: &World, subnet: &str) -> Route {
    let Some(table) = find_table(world, subnet) else { return Route::Unknown };
    match table.more.get("default_route").and_then(Value::as_str) {
        None | Some("none") => Route::None,
        Some(target) if target.starts_with("igw-") => Route::Gateway,
        Some(target) if target.starts_with("nat-") => Route::Nat,
        Some(target) => Route::Other(target.to_owned()),
    }
}

/// The table that a subnet uses: one that names it, else its VPC's own (VPC user guide, "Subnet route tables").
pub(crate) fn find_table<'a>(world: &'a World, subnet: &str) -> Option<&'a Thing> {
    let all = || world.things.iter().chain(&world.strangers);
    let tables = || all().filter(|thing| thing.kind == "route-table");
    let names_it = |table: &&Thing| {
        let subnets = table.more.get("subnets").and_then(Value::as_array);
        subnets.is_some_and(|subnets| subnets.iter().any(|one| one == subnet))
    };
    let vpc = all().find(|thing| thing.kind == "subnet" && thing.id == subnet).and_then(|one| one.place.vpc.as_ref());
    let is_own = |table: &&Thing| {
        vpc.is_some() && table.place.vpc.as_ref() == vpc && table.more.get("main") == Some(&true.into())
    };
    tables().find(names_it).or_else(|| tables().find(is_own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thing::Label;

    #[test]
    fn a_subnet_without_a_table_of_its_own_uses_that_of_its_vpc() {
        let thing = |kind, id: &str| Thing::new(kind, id, Label::default()).within(Some("vpc-1"), None);
        let table = |id: &str, target: &str| thing("route-table", id).with("default_route", target);
        let own = table("rtb-1", "igw-1").with("main", false).with("subnets", vec!["subnet-1"]);
        let main = table("rtb-2", "nat-1").with("main", true).with("subnets", Vec::<String>::new());
        let things = vec![thing("subnet", "subnet-1"), thing("subnet", "subnet-2"), own];
        let world = World { things, strangers: vec![main], ..World::default() };
        assert_eq!(read_route(&world, "subnet-1"), Route::Gateway);
        assert_eq!(read_route(&world, "subnet-2"), Route::Nat, "an untagged table counts, too");
        assert_eq!(read_route(&world, "subnet-9"), Route::Unknown);
    }
}
