"""What an attacker puts into a field, for the property tests of the handlers."""

from hypothesis import strategies as st

HOSTILE = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60),
    st.sampled_from(
        [
            "{{ 7*4861957 }}",
            "{{ ''.__class__.__mro__ }}",
            "{% for x in range(10**9) %}x{% endfor %}",
            "<script>alert(1)</script>",
            "x\r\nBcc: evil@example.org",
            'x\r\nX-Evil: 1\r\n\r\n{"to": "+1"}',
            "\u202egpj.exe",
            "'\"><img src=x onerror=alert(1)>",
            '", "to": "+15550100',
        ]
    ),
)
