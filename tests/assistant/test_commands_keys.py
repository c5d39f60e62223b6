"""`apprentice keys`: typed as a person does."""

from tests.assistant.command_line import refusal


def test_create_list_and_revoke(apprentice):
    apprentice("workspaces", "create", "team")
    [made] = apprentice.rows(
        *("keys", "create", "shop", "--workspace", "team", "--scope", "chat", "--per-minute", "5")
    )
    assert (made["workspace"], made["scopes"], made["per_minute"]) == ("team", ["chat"], 5)
    said = apprentice("keys", "create", "till", "--all-workspaces")
    assert "It is shown only this once." in said
    listed = {row["name"]: row for row in apprentice.rows("keys", "list")}
    assert "key" not in listed["shop"] and made["key"] not in apprentice("keys", "list")
    assert listed["till"]["workspace"] == "(all)"
    assert listed["till"]["scopes"] == ["chat", "feedback"]
    apprentice("keys", "revoke", "shop")
    states = {row["name"]: row["state"] for row in apprentice.rows("keys", "list")}
    assert states == {"shop": "revoked", "till": "valid"}


def test_an_embed_key_is_not_shown_as_a_secret(apprentice):
    typed = ("keys", "create", "site", "--embed", "--origin", "https://www.example.com")
    [made] = apprentice.rows(*typed, "--per-day", 500, "--per-visitor", 20)
    [listed] = apprentice.rows("keys", "list")
    assert listed["shown"] == made["key"]
    assert (listed["kind"], listed["per_day"], listed["per_visitor"]) == ("embed", 500, 20)
    apprentice(*typed[:2], "other", *typed[3:], "--scope", "chat", code=2)
    assert "has no scopes" in refusal(apprentice)


def test_what_cannot_be_is_one_sentence(apprentice):
    for words in (
        ("create", "shop", "--scope", "everything"),
        ("create", "shop", "--workspace", "nowhere"),
        ("create", "shop", "--origin", "https://a.b"),
        ("revoke", "shop"),
    ):
        apprentice("keys", *words, code=2)
        refusal(apprentice)
    assert apprentice.rows("keys", "list") == []
