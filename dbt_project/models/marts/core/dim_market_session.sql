-- calendar x session_date: every open day of every calendar from 2015 to 2030. A closed day has no row.
select
    calendar,
    session_date,
    open_at,
    close_at,
    is_half_day
from {{ source('landing', 'market_session') }}
order by calendar, session_date
