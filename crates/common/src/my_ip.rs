//! This machine's public address, as the internet sees it.

use std::net::Ipv4Addr;

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use lab_plan::Problem;

use crate::sdk::connect_directly;

const VARIABLE: &str = "LAB_MY_IP";
/// AWS's own service for this question; it answers with the address and a newline.
const CHECKIP: &str = "https://checkip.amazonaws.com/";

/// `$LAB_MY_IP`, else what AWS's checkip sees.
///
/// # Errors
/// When the variable holds no IPv4 address, or when there is none and checkip cannot be asked.
pub async fn find_my_ip() -> Result<Ipv4Addr, Problem> {
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let text = text.to_string_lossy().into_owned();
        return text.trim().parse().map_err(|_| {
            Problem::usage(format!("{VARIABLE}={text} is not an IPv4 address")).fix("write one like 198.51.100.7")
        });
    }
    ask_checkip().await.map_err(|why| {
        Problem::failed("cannot find out this machine's public address, which `from = \"me\"` needs")
            .because(why)
            .fix(format!("set {VARIABLE} to your public IPv4 address, or write a CIDR block in lab.toml"))
    })
}

async fn ask_checkip() -> Result<Ipv4Addr, String> {
    let request = http::Request::get(CHECKIP).body(SdkBody::empty()).map_err(|error| error.to_string())?;
    let request = HttpRequest::try_from(request).map_err(|error| error.to_string())?;
    let connector = connect_directly().map_err(|problem| problem.to_string())?;
    let answer = connector.call(request).await.map_err(|error| format!("{CHECKIP}: {error}"))?;
    let status = answer.status().as_u16();
    let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body());
    let body = body.collect().await.map_err(|error| error.to_string())?.into_bytes();
    let text = String::from_utf8_lossy(&body);
    text.trim().parse().map_err(|_| format!("{CHECKIP} answered {status} without an IPv4 address"))
}
