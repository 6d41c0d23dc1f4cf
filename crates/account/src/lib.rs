//! Who calls AWS, for how long, and what the account allows.
