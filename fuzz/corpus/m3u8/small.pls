[playlist]
File1=nhac/dan-ca.mp3
Title1=Dân ca
Length1=180
File2=https://vov.example.vn/live
Title2=VOV
Length2=-1
NumberOfEntries=2
Version=2
