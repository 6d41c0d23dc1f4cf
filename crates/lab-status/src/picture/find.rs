//! What is what, whatever its Name tag says: by its role tag, which nobody has a reason to change. Pure.

use lab_plan::Resource;

use crate::census::World;
use crate::show::Inventory;

/// What of the lab plays `role` (`subnet public`); what has that name, where no role is known.
pub(crate) fn find_resource<'a>(found: &'a Inventory, kind: &str, role: &str, name: &str) -> Option<&'a Resource> {
    let of_kind = || found.resources.iter().filter(|one| one.kind == kind);
    let role_of = |one: &&Resource| one.more.get("role").and_then(serde_json::Value::as_str) == Some(role);
    of_kind().find(role_of).or_else(|| of_kind().find(|one| one.name == name))
}

/// The names and rules of the security groups that an instance is in, where all of them are known.
pub(crate) fn find_groups_of(world: &World, instance: &str) -> Option<(String, Vec<String>)> {
    let all = || world.things.iter().chain(&world.strangers);
    let thing = all().find(|thing| thing.kind == "instance" && thing.id == instance)?;
    let find = |id: &String| all().find(|one| one.kind == "security-group" && one.id == *id);
    let groups = thing.place.groups.iter().map(find).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?;
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    let rules = groups.iter().filter_map(|group| group.more.get("rules")?.as_array()).flatten();
    Some((names.join(", "), rules.filter_map(|rule| Some(rule.as_str()?.to_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::inventory;

    #[test]
    fn a_role_tells_more_than_a_name() {
        let renamed = Resource::new("vpc", "my own", "vpc-1").with("role", "vpc");
        let found = inventory(vec![Resource::new("vpc", "lab-vpc", "vpc-2"), renamed]);
        let find =
            |found: &Inventory, kind: &str| find_resource(found, kind, "vpc", "lab-vpc").map(|one| one.id.clone());
        assert_eq!(find(&found, "vpc").as_deref(), Some("vpc-1"));
        assert_eq!(find(&found, "subnet"), None);
        let named = inventory(vec![Resource::new("vpc", "lab-vpc", "vpc-2")]);
        assert_eq!(find(&named, "vpc").as_deref(), Some("vpc-2"));
    }
}
