//! The cryptography of all commands.

use conclave_client::SUITES;
use conclave_provider_aws_lc::AwsLc;
use std::sync::Arc;

/// The cryptography: all suites of the messenger, for its service too, which checks its groups.
pub(crate) fn provider() -> Arc<AwsLc> {
    Arc::new(AwsLc::new().with_suites(SUITES))
}
