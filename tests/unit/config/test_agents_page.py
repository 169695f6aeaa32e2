# SPDX-License-Identifier: Apache-2.0
from tests.unit.cache.kit import call
from tests.unit.config.test_live import Live, on_a_loop
from toono.cache.asked import Asked
from toono.cache.guests import Guests
from toono.config.agents_page import agents_gauges, agents_page


@on_a_loop
def test_the_page_tells_who_asked_and_the_line_that_keeps_them_all() -> None:
    one, asked = Live("fixed"), Asked()
    one.say("there")
    guests = Guests(one.cache.scopes, one.live.policy)
    asked.note(call("/api/v1/pods", agent="b,c/v1"), one.live.policy, now=5.0)
    page = agents_page(one.live, asked, guests)
    assert page["line"] == 'cache_agents: "b%2Cc,there"'
    assert [who["component"] for who in page["notKept"]] == ["b%2Cc"]
    assert page["everyone"] is False
    assert page["problem"] == ""
    one.say(page["line"].split('"')[1])
    assert agents_page(one.live, asked, guests)["notKept"] == []


@on_a_loop
def test_a_bad_value_is_a_series() -> None:
    one = Live()
    guests = Guests(one.cache.scopes, one.live.policy)
    read = {name: value for name, _, value in agents_gauges(one.live, guests)}
    assert (read["toono_agents_bad"](), read["toono_agents_bad_values"]()) == (0.0, 0.0)
    one.say("a b")
    assert (read["toono_agents_bad"](), read["toono_agents_bad_values"]()) == (1.0, 1.0)
    assert read["toono_agents"]() == 9.0
    assert read["toono_agents_forbidden"]() == 0.0
    guests.size_bytes, guests.count, guests.evicted = 1, 2, 3
    assert read["toono_guests_size_bytes"]() == 1.0
    assert read["toono_guests_questions"]() == 2.0
    assert read["toono_guests_evicted"]() == 3.0
