//! Causes of refused requests to the HTTP API.

pages! {
    FORBIDDEN = "api/forbidden" {
        title: "Access refused",
        meaning: "The API without a token answers local requests only, and never requests from pages of other sites.",
        fixes: ["Set an API token in the server's options and send it as a bearer token"],
    }
    TOKEN = "api/token" {
        title: "Access refused",
        meaning: "The API needs a token, and the request has none or another one.",
        fixes: ["Send the header Authorization: Bearer TOKEN"],
    }
    NOT_FOUND = "api/not-found" {
        title: "Not found",
        meaning: "The server has nothing at this address.",
        fixes: ["Check the address"],
    }
    UNAVAILABLE = "api/unavailable" {
        title: "Temporarily unavailable",
        meaning: "The server cannot reach its database.",
        fixes: [
            "Try again",
            "Look at the server's own log",
        ],
    }
}
