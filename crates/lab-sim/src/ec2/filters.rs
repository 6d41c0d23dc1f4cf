//! The `Filter.N` parameters of Describe calls.

use crate::faults::answers::ServiceError;
use crate::faults::rules::matches_glob;
use crate::form::Form;

/// The filters of a call that lab-sim answers itself: all of them must hold, and of one any value.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M`.
    pub(crate) fn parse(form: &Form) -> Self {
        let named = form.0.iter().filter_map(|(key, name)| {
            let number = key.strip_prefix("Filter.")?.strip_suffix(".Name")?;
            let values = form.list(&format!("Filter.{number}.Value")).into_iter().map(str::to_owned).collect();
            Some((name.clone(), values))
        });
        Self(named.collect())
    }

    /// Refuses a filter that is not `known`; `tag:KEY` is known where `tag-key` is.
    pub(crate) fn check_names(&self, known: &[&str]) -> Result<(), ServiceError> {
        let is_known = |name: &str| known.contains(&name) || (name.starts_with("tag:") && known.contains(&"tag-key"));
        match self.0.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(ServiceError::new(400, "InvalidParameterValue", format!("The filter '{name}' is invalid")))
            }
        }
    }

    /// Whether something passes, whose values for a filter's name `values_of` tells.
    pub(crate) fn take(&self, values_of: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let present = values_of(name);
            wanted.iter().any(|pattern| present.iter().any(|value| matches_glob(pattern, value)))
        })
    }
}

/// Takes the filter of this name out of a request; the others are numbered anew. The values are `None` when there is no
/// such filter.
pub(crate) fn take_filter(form: &Form, wanted: &str) -> (Form, Option<Vec<String>>) {
    let named = form.0.iter().find_map(|(key, value)| {
        let number = key.strip_prefix("Filter.")?.strip_suffix(".Name")?;
        (value == wanted).then_some(number)
    });
    let Some(number) = named else { return (form.clone(), None) };
    let prefix = format!("Filter.{number}.");
    let values =
        form.0.iter().filter(|(key, _)| key.starts_with(&format!("{prefix}Value."))).map(|(_, value)| value.clone());
    let rest = form.0.iter().filter(|(key, _)| !key.starts_with(&prefix)).cloned();
    (renumber(rest.collect()), Some(values.collect()))
}

/// Closes the gap that a removed filter leaves: a list parameter has no gaps.
fn renumber(pairs: Vec<(String, String)>) -> Form {
    let mut seen: Vec<String> = Vec::new();
    let renamed = pairs.into_iter().map(|(key, value)| {
        let parts: Vec<&str> = key.splitn(3, '.').collect();
        let ["Filter", number, rest] = parts.as_slice() else { return (key, value) };
        let index = seen.iter().position(|known| known == number).unwrap_or_else(|| {
            seen.push((*number).to_owned());
            seen.len() - 1
        });
        (format!("Filter.{}.{rest}", index + 1), value)
    });
    Form(renamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_filters_must_hold_and_of_one_any_value() {
        let form = Form::parse(
            "Filter.1.Name=endpoint-id&Filter.1.Value.1=a&Filter.1.Value.2=b&Filter.2.Name=tag:Name&Filter.2.Value.1=lab*",
        );
        let filters = Filters::parse(&form);
        let takes = |id: &str, name: &str| {
            filters.take(|filter| vec![if filter == "endpoint-id" { id.to_owned() } else { name.to_owned() }])
        };
        assert!(takes("b", "lab-vpn"));
        assert!(!takes("c", "lab-vpn"));
        assert!(!takes("a", "other"));
        assert!(filters.check_names(&["endpoint-id", "tag-key"]).is_ok());
        assert!(filters.check_names(&["endpoint-id"]).is_err());
    }

    #[test]
    fn a_filter_is_taken_out_and_the_rest_keeps_its_order() {
        let form = Form::parse(
            "Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=pending&Filter.1.Value.2=running\
             &Filter.2.Name=vpc-id&Filter.2.Value.1=vpc-1",
        );
        let (rest, values) = take_filter(&form, "instance-state-name");
        assert_eq!(values.as_deref(), Some(["pending".to_owned(), "running".to_owned()].as_slice()));
        assert_eq!(rest.encode(), "Action=DescribeInstances&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1");
        let (same, none) = take_filter(&form, "subnet-id");
        assert_eq!((same, none), (form, None));
    }
}
