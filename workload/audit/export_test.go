package audit

// Allowed is the allow-list.
const Allowed = allowed
