//! Lists that come in pages.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::explain;
use lab_plan::Problem;

/// All items of all pages; `call` is their action's name (`DescribeSubnets`).
///
/// # Errors
/// What AWS answers instead of a page.
pub async fn list<T, E>(
    call: &str,
    pages: impl Future<Output = Result<Vec<T>, SdkError<E, HttpResponse>>>,
) -> Result<Vec<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    pages.await.map_err(|error| explain(call, &error))
}
