//! What the Client VPN calls have in common: parameters that must be there, blocks, filters and pages.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::Ipv4Net;

use crate::call::{Call, new_request_id};
use crate::ec2::filters::Filters;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, StateTimes};
use crate::xml::Element;

/// One call, at the moment at which it is answered.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) sim: &'a Arc<Sim>,
    pub(crate) call: &'a Call,
    pub(crate) now: Instant,
    /// A fault rule lets what this call begins fail.
    pub(crate) fails: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn times(&self) -> &'a StateTimes {
        &self.sim.times
    }

    pub(crate) fn region(&self) -> &'a str {
        &self.call.class.region
    }

    /// A parameter with a value.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a str> {
        self.call.param(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a str, ServiceError> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ServiceError> {
        match self.optional(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(invalid(format!("Invalid value '{other}' for {name}. It must be a boolean."))),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, ServiceError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(format!("Invalid value '{text}' for {name}. It must be a number."))),
        }
    }

    /// A block that is a network address, as AWS wants it.
    pub(crate) fn block(&self, name: &str) -> Result<Ipv4Net, ServiceError> {
        let text = self.required(name)?;
        text.parse::<Ipv4Net>()
            .ok()
            .filter(|block| block.trunc() == *block)
            .ok_or_else(|| invalid(format!("Invalid value '{text}' for {name}. It must be a valid IPv4 CIDR block.")))
    }

    /// One page of `items`, of which only those that the call's filters take count.
    ///
    /// # Errors
    /// When a filter is not among those that `describe` knows, or the page is not one of ours.
    pub(crate) fn list<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        known_filters: &[&str],
        describe: impl Fn(&T, &str) -> Vec<String>,
    ) -> Result<Page<T>, ServiceError> {
        let filters = Filters::parse(&self.call.form);
        filters.check_names(known_filters)?;
        let found = items.into_iter().filter(|item| filters.take(|name| describe(item, name))).collect();
        cut_page(found, self.number("MaxResults")?, self.optional("NextToken"))
    }
}

/// Some of the items, and where the rest begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

const TOKEN_PREFIX: &str = "from:";

/// Client VPN's pages hold 5 to 1,000 items.
fn cut_page<T>(found: Vec<T>, size: Option<u32>, token: Option<&str>) -> Result<Page<T>, ServiceError> {
    if size.is_some_and(|size| !(5..=1000).contains(&size)) {
        return Err(invalid("MaxResults must be between 5 and 1000.".to_owned()));
    }
    let size = size.unwrap_or(1000) as usize;
    let from = token.map_or(Ok(0), |token| {
        read_token(token).ok_or_else(|| {
            ServiceError::new(400, "InvalidPaginationToken", "The specified pagination token is not valid.")
        })
    })?;
    let total = found.len();
    let items: Vec<T> = found.into_iter().skip(from).take(size).collect();
    let end = from + items.len();
    let next = (end < total).then(|| URL_SAFE_NO_PAD.encode(format!("{TOKEN_PREFIX}{end}")));
    Ok(Page { items, next })
}

fn read_token(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix(TOKEN_PREFIX)?.parse().ok()
}

/// `MissingParameter`
pub(crate) fn missing(name: &str) -> ServiceError {
    ServiceError::new(400, "MissingParameter", format!("The request must contain the parameter {name}"))
}

/// `InvalidParameterValue`
pub(crate) fn invalid(message: String) -> ServiceError {
    ServiceError::new(400, "InvalidParameterValue", message)
}

/// `IncorrectState`: it passes, so a caller may wait and try again.
pub(crate) fn incorrect_state(message: String) -> ServiceError {
    ServiceError::new(400, "IncorrectState", message)
}

/// An empty `ACTIONResponse` of EC2's.
pub(crate) fn response(action: &str) -> Element {
    let mut root = Element::new(&format!("{action}Response"));
    root.ensure_namespace("http://ec2.amazonaws.com/doc/2016-11-15/");
    root.push(Element::with_text("requestId", &new_request_id()));
    root
}

/// `<status><code>…</code></status>`
pub(crate) fn status(code: &str) -> Element {
    let mut status = Element::new("status");
    status.push(Element::with_text("code", code));
    status
}

/// An answer that shows a page.
pub(crate) fn show_page<T>(action: &str, set: &str, page: &Page<T>, show: impl Fn(&T) -> Element) -> Element {
    let mut root = response(action);
    let mut list = Element::new(set);
    for item in &page.items {
        list.push(show(item));
    }
    root.push(list);
    if let Some(next) = &page.next {
        root.push(Element::with_text("nextToken", next));
    }
    root
}

/// A list of plain texts.
pub(crate) fn show_texts<'t>(set: &str, texts: impl IntoIterator<Item = &'t str>) -> Element {
    let mut list = Element::new(set);
    for text in texts {
        list.push(Element::with_text("item", text));
    }
    list
}

/// An id of EC2's form: the prefix and 17 hexadecimal digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-0{}", &digits[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_until_there_are_no_more() {
        let all: Vec<u32> = (0..12).collect();
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = cut_page(all.clone(), Some(5), token.as_deref()).expect("a page");
            seen.extend(page.items);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn pages_that_aws_refuses_are_refused() {
        for size in [0, 4, 1001] {
            assert_eq!(cut_page(vec![1], Some(size), None).expect_err("refused").code, "InvalidParameterValue");
        }
        assert_eq!(cut_page(vec![1], None, Some("x")).expect_err("refused").code, "InvalidPaginationToken");
    }

    #[test]
    fn ids_are_of_ec2s_form() {
        let id = new_id("cvpn-endpoint");
        let digits = id.strip_prefix("cvpn-endpoint-").expect("the prefix");
        assert!(digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(id, new_id("cvpn-endpoint"));
    }
}
