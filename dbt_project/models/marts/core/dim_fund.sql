-- asset x ticker: funds as known at the cut-off, with the days between which they are listed.
with fund as (
    {{ event_choice(['FUND']) | indent(4) }}
)

select
    {{ attribute('asset') }} as asset,
    {{ attribute('ticker') }} as ticker,
    {{ attribute('issuer') }} as issuer,
    {{ attribute('listed_on', type='date') }} as listed_on,
    {{ attribute('delisted_on', type='date') }} as delisted_on,
    {{ event_provenance() | indent(4) }}
from fund
group by event_id
order by asset, ticker
