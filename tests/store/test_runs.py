async def test_x(runner, settings, empty_database_url):
    print(settings)
