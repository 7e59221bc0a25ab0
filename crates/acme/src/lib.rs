//! The client of certificate authorities: orders, challenges, problems.
