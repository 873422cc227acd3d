// Package stack runs the real services of production that stand around JIMM, each
// as a process on a port of this machine: OpenFGA, Vault, Ory Hydra and Kratos, and
// Dex. It makes their databases, keys, clients and people.
//
// Who is who:
//
//   - Kratos keeps people, their passwords and groups, and which e-mail addresses
//     are verified.
//   - Hydra is the company's OpenID Connect provider: logins by browser, and
//     service accounts. It has no login by device in this version.
//   - A page of ours, SignIn, stands between the two.
//   - Dex is a second provider, which has the login by device. People log in there
//     by way of Hydra.
//   - Vault keeps JIMM's secrets: KV version 2, behind an AppRole.
//
// Each service can be stopped, killed, frozen and started again while others use
// it. No secret is in the arguments of a process: they are in files of mode 0600
// and in environments.
package stack
