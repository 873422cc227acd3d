
"use strict";
const byId = (id) => document.getElementById(id);
const jimm = byId("jimm").dataset.address;

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = false;
}

function loggedOut() {
  byId("who").textContent = "You are not logged in.";
  byId("login").hidden = false;
  byId("inside").hidden = true;
}

// api opens a controller connection and returns a function that makes a request.
function api() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${jimm}/api`);
    const waiting = new Map();
    let last = 0;
    socket.onerror = () => reject(new Error("JIMM does not let this page connect."));
    socket.onmessage = (event) => {
      const reply = JSON.parse(event.data);
      const { ok, no } = waiting.get(reply["request-id"]);
      waiting.delete(reply["request-id"]);
      reply.error ? no(new Error(reply.error)) : ok(reply.response || {});
    };
    socket.onclose = () => {
      byId("connection").textContent = "The connection is closed.";
      for (const { no } of waiting.values()) no(new Error("JIMM has closed the connection."));
    };
    socket.onopen = () => resolve((type, version, request, params = {}) => new Promise((ok, no) => {
      last += 1;
      waiting.set(last, { ok, no });
      socket.send(JSON.stringify({ "request-id": last, type, version, request, params }));
    }));
  });
}

async function show() {
  const answer = await fetch(`https://${jimm}/auth/whoami`, { credentials: "include" });
  if (!answer.ok) return loggedOut();
  const who = await answer.json();
  byId("who").textContent = `You are ${who["display-name"] || who.email} (${who.email}).`;
  byId("inside").hidden = false;
  const call = await api();
  const login = await call("Admin", 4, "LoginWithSessionCookie");
  const { results } = await call("ModelManager", 9, "ListModelSummaries", { "user-tag": login["user-info"].identity, all: false });
  for (const { result } of results || []) {
    const item = document.createElement("li");
    item.textContent = `${result.name} on ${result["cloud-tag"].replace("cloud-", "")}`;
    byId("models").append(item);
  }
  if (!byId("models").children.length) {
    const item = document.createElement("li");
    item.textContent = "You have no models yet: juju add-model makes one.";
    byId("models").append(item);
  }
  byId("connection").textContent = `Connected to JIMM ${login["server-version"]} as ${login["user-info"].identity}.`;
}

byId("logout").addEventListener("click", async () => {
  const answer = await fetch(`https://${jimm}/auth/logout`, { credentials: "include" });
  answer.ok ? loggedOut() : problem("JIMM did not log you out.");
});

show().catch((error) => problem(error.message));
