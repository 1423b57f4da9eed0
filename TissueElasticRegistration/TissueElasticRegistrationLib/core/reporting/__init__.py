"""The report page: verdict, pictures and tables of one registration."""
