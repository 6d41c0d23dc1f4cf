//! The HTTP client itself: whom it trusts, and through which proxy it goes.

use std::path::Path;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpClient};
use lab_plan::Problem;

use super::CONNECT;

/// The client for AWS's APIs, as the environment wants it.
///
/// # Errors
/// When the certificates or the proxy that the environment names cannot be used.
pub(super) fn make_client() -> Result<SharedHttpClient, Problem> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Ok(make_client_through(choose_proxy(variable)?, make_context()?))
}

/// As the SDK makes its own, which knows proxies but not `AWS_CA_BUNDLE`.
fn make_client_through(proxy: ProxyConfig, context: TlsContext) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder.build()
    })
}

/// One connection for a call that is not AWS's API, past any proxy: it asks where SSH and the VPN come from, and they know
/// no proxy.
pub(crate) fn connect_directly() -> Result<impl HttpConnector, Problem> {
    let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(CONNECT).build();
    Ok(Connector::builder().tls_provider(provider).tls_context(make_context()?).connector_settings(settings).build())
}

/// The proxy of `HTTPS_PROXY`, past which only the hosts of `NO_PROXY` are reached: what AWS's own command line reads for
/// AWS's endpoints. What speaks plain HTTP is on this machine or beside it (local AWS, the metadata of an instance or a
/// container), where no proxy leads.
fn choose_proxy(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyConfig, Problem> {
    let either = |upper: &str, lower: &str| variable(upper).or_else(|| variable(lower));
    let Some(url) = either("HTTPS_PROXY", "https_proxy") else { return Ok(ProxyConfig::disabled()) };
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    // Not repeated: a password may stand in it.
    let proxy = ProxyConfig::https(url).map_err(|error| {
        Problem::usage("HTTPS_PROXY names no proxy that could be used")
            .because(error.to_string())
            .fix("write it like http://proxy.example.org:3128, or unset it")
    })?;
    Ok(match either("NO_PROXY", "no_proxy") {
        Some(hosts) => proxy.no_proxy(hosts),
        None => proxy,
    })
}

/// The certificates that are trusted: the system's, or those of `AWS_CA_BUNDLE`, which the Rust SDK does not read.
fn find_trust() -> Result<TrustStore, Problem> {
    let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else {
        return Ok(TrustStore::default());
    };
    let show = Path::new(&path).display();
    let fix = "point AWS_CA_BUNDLE at a PEM file of certificates, or unset it";
    let pem = std::fs::read(&path).map_err(|error| {
        Problem::usage(format!("cannot read AWS_CA_BUNDLE {show}")).because(error.to_string()).fix(fix)
    })?;
    if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
        return Err(Problem::usage(format!("AWS_CA_BUNDLE {show} holds no certificate")).fix(fix));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

fn make_context() -> Result<TlsContext, Problem> {
    TlsContext::builder()
        .with_trust_store(find_trust()?)
        .build()
        .map_err(|error| Problem::usage("the trusted certificates cannot be used").because(error.to_string()))
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime::client::orchestrator::operation::Operation;
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
    use aws_smithy_types::error::ErrorMetadata;
    use aws_smithy_types::timeout::TimeoutConfig;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener on this machine, and its address.
    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    /// The head of the next request, and its connection.
    async fn read_head(listener: &TcpListener) -> (String, TcpStream) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    /// Whether an answer comes of `GET url`.
    async fn get(proxy: ProxyConfig, url: &str) -> bool {
        let operation = Operation::builder()
            .service_name("test")
            .operation_name("Get")
            .http_client(make_client_through(proxy, make_context().unwrap()))
            .endpoint_url(url)
            .no_auth()
            .no_retry()
            .timeout_config(TimeoutConfig::disabled())
            .serializer(|()| Ok(HttpRequest::empty()))
            .deserializer(|_| Ok::<_, OrchestratorError<ErrorMetadata>>(()))
            .build();
        operation.invoke(()).await.is_ok()
    }

    fn choose(variables: &[(&str, &str)]) -> Result<ProxyConfig, Problem> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        choose_proxy(find)
    }

    #[tokio::test]
    async fn awss_endpoints_are_reached_through_a_tunnel_of_the_proxy() {
        let (listener, address) = listen().await;
        // As some write it, without a scheme.
        let proxy = choose(&[("HTTPS_PROXY", &format!("ada:s%40fe@{address}")), ("NO_PROXY", "127.0.0.1")]).unwrap();
        let serve = async {
            let (head, mut stream) = read_head(&listener).await;
            assert!(head.starts_with("CONNECT ec2.us-east-1.amazonaws.com:443 HTTP/1.1\r\n"), "{head}");
            let lower = head.to_lowercase();
            assert!(lower.contains("proxy-authorization: basic "), "{head}");
            assert!(head.contains("YWRhOnNAZmU="), "ada:s@fe, decoded: {head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // A TLS handshake begins (RFC 8446, 5.1): what is asked, the proxy does not see.
            assert_eq!(stream.read_u8().await.unwrap(), 22);
        };
        let (answer, ()) = tokio::join!(get(proxy, "https://ec2.us-east-1.amazonaws.com/"), serve);
        assert!(!answer, "the proxy has hung up");
    }

    #[tokio::test]
    async fn a_host_of_no_proxy_and_whatever_speaks_plain_http_is_reached_directly() {
        let (proxy, proxy_address) = listen().await;
        let (server, address) = listen().await;
        let url = format!("http://{proxy_address}");
        for (variables, scheme) in [
            (vec![("HTTPS_PROXY", url.as_str())], "http"),
            (vec![("https_proxy", url.as_str()), ("no_proxy", "example.org, 127.0.0.0/8")], "https"),
            (vec![("HTTP_PROXY", url.as_str()), ("ALL_PROXY", url.as_str())], "https"),
        ] {
            let serve = async {
                tokio::select! {
                    accepted = server.accept() => drop(accepted.unwrap()),
                    _ = proxy.accept() => panic!("it went to the proxy: {variables:?}"),
                }
            };
            let url = format!("{scheme}://{address}/");
            let (answer, ()) = tokio::join!(get(choose(&variables).unwrap(), &url), serve);
            assert!(!answer, "the server has hung up");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        let problem = choose(&[("HTTPS_PROXY", "socks5://ada:secret@127.0.0.1:1080")]).unwrap_err();
        assert_eq!(problem.what(), "HTTPS_PROXY names no proxy that could be used");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}
