//! The `Filter.N` parameters of Describe calls.

use crate::form::Form;

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
